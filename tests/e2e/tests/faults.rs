//! Faults that a restart cures, or that the agent has to give up on: each as the table of verdicts says.

use std::fs;
use std::process::Command as Program;
use std::time::Duration;

use anyhow::{Result, ensure};
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim::Chain;
use t0rn_agent_tests::sim::control::{Command, Cure, FailStarts, Silence};
use t0rn_agent_tests::wait::{self, LATER, LONG, SOON};

fn stall(chain: Chain, cure: Cure) -> Command {
    Command::Stall {
        chain,
        cure,
        bytes_per_second: 3072.0,
    }
}

#[test]
fn exited_it_is_running_again_and_the_exit_is_told() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "exited", &[])?;
    let run = agent.run_id()?;
    agent.sim().control(&Command::Crash {
        code: 101,
        log: vec!["Thread 'x' panicked at 'y'".to_owned()],
    })?;
    agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_watched()?;
    let collator = &status["collator"];
    ensure!(
        collator["restarts"]["crash"] == 1 && collator["last_exit"]["code"] == 101,
        "{status}"
    );
    ensure!(collator["restarts"]["health"] == 0 && agent.starts()? == 2, "{status}");
    Ok(())
}

#[test]
fn frozen_it_is_restarted_and_that_helps() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "frozen", &SYNCING)?;
    for (n, mode) in [Silence::Hang, Silence::Refuse].into_iter().enumerate() {
        let run = agent.run_id()?;
        agent.sim().control(&Command::Freeze { mode })?;
        agent.wait_other_run(&run, SOON)?;
        let status = agent.wait_for("the cure", SOON, |s| {
            s["last_incident"]["cause"] == "frozen" && s["last_incident"]["helped"] == true && s["phase"] == "syncing"
        })?;
        ensure!(status["collator"]["restarts"]["health"] == n + 1, "{mode:?}: {status}");
    }
    Ok(())
}

#[test]
fn frozen_and_deaf_it_is_killed_after_the_stop_timeout() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "deaf", &SYNCING)?;
    agent.set("collator.stop_timeout", "3s")?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    agent.sim().control(&Command::Sigterm { obey: false })?;
    agent.sim().control(&Command::Freeze { mode: Silence::Hang })?;
    agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_cured("frozen", SOON)?;
    ensure!(status["collator"]["last_exit"]["code"] == 137, "{status}");
    Ok(())
}

#[test]
fn stalled_it_is_restarted_and_that_helps() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "stalled", &SYNCING)?;
    let run = agent.run_id()?;
    agent.sim().control(&stall(Chain::Parachain, Cure::Restart))?;
    agent.wait_other_run(&run, LATER)?;
    let status = agent.wait_cured("stalled", SOON)?;
    ensure!(status["collator"]["restarts"]["health"] == 1, "{status}");
    agent.stays(&agent.run_id()?, LONG)
}

#[test]
fn a_relay_chain_that_stands_still_is_a_stall() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "relay", &["--sim-relay-block-time", "200"])?;
    let run = agent.run_id()?;
    agent.sim().control(&stall(Chain::Relaychain, Cure::Restart))?;
    agent.wait_other_run(&run, LATER)?;
    agent.wait_cured("stalled", SOON)?;
    Ok(())
}

#[test]
fn a_stall_that_restarts_do_not_cure_is_given_up_after_two() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "hopeless", &SYNCING)?;
    agent.sim().control(&stall(Chain::Parachain, Cure::Never))?;
    let status = agent.wait_for("the end of trying", Duration::from_mins(3), |s| {
        s["health"] == "critical" && s["reasons"].to_string().contains("restarting does not help")
    })?;
    ensure!(status["collator"]["restarts"]["health"] == 2, "{status}");
    ensure!(status["last_incident"]["helped"] == false, "{status}");
    agent.stays(&agent.run_id()?, LONG)?;
    // New progress clears it.
    agent.sim().control(&Command::Recover)?;
    agent.wait_for("good health", SOON, |s| s["health"] == "ok" && s["phase"] == "syncing")?;
    Ok(())
}

#[test]
fn isolated_it_is_restarted_while_the_host_s_network_works() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "isolated", &SYNCING)?;
    let run = agent.run_id()?;
    agent.sim().control(&Command::Isolate { cure: Cure::Restart })?;
    agent.wait_other_run(&run, LATER)?;
    agent.wait_cured("isolated", SOON)?;
    Ok(())
}

#[test]
fn an_exporter_that_never_came_up_costs_one_restart() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "blind", &["--sim-start-delay", "3600000"])?;
    agent.start()?;
    let first = wait::until("the first run", SOON, || agent.run_id())?;
    let status = agent.wait_for("the end of trying", LATER, |s| s["collator"]["restarts"]["health"] == 1)?;
    ensure!(status["health"] != "ok", "{status}");
    let run = agent.wait_other_run(&first, SOON)?;
    agent.wait_for("blindness", LATER, |s| {
        s["health"] == "degraded" && s["reasons"].to_string().contains("cannot be judged")
    })?;
    agent.stays(&run, LONG)
}

#[test]
fn out_of_memory_it_is_restarted_and_the_reason_told() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "oom", &[])?;
    agent.set("collator.memory", "64MiB")?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    agent.sim().control(&Command::Eat {
        bytes_per_second: 400_000_000,
    })?;
    agent.wait_other_run(&run, SOON)?;
    let status = agent.wait_for("the reason", SOON, |s| {
        s["collator"]["last_exit"]["oom"] == true && s["health"] == "degraded" && s["phase"] != "backoff"
    })?;
    ensure!(status["reasons"].to_string().contains("memory"), "{status}");
    Ok(())
}

#[test]
fn what_no_restart_cures_is_held_until_a_person_says_start() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "held", &[])?;
    for line in [
        "Error: Service(Client(Backend(\"DB corrupted: Corruption: block checksum mismatch\")))",
        "Error: Service(Client(Backend(\"Backend error: Corruption: bad entry\")))",
        "Error: Service(Client(Backend(\"Database version comes from future version of the client\")))",
        "Error: Service(Client(Backend(\"Database version cannot be read from existing db_version file\")))",
        "Error: Service(Client(Backend(\"Database file is in use.\")))",
        "IO error: While lock file: /node/data/db/LOCK: Resource temporarily unavailable",
    ] {
        let fail = FailStarts {
            count: None,
            code: 1,
            log: vec![line.to_owned()],
        };
        agent.sim().control(&Command::FailStarts(fail))?;
        agent.sim().control(&Command::Crash {
            code: 1,
            log: vec![line.to_owned()],
        })?;
        let status = agent.wait_phase("holding", SOON)?;
        ensure!(status["health"] == "critical", "{line}: {status}");
        ensure!(
            status["reasons"].to_string().contains("t0rn-agent start"),
            "{line}: the cure is not told: {status}"
        );
        agent.wait_down(SOON)?;
        let starts = agent.starts()?;
        wait::throughout(line, Duration::from_secs(4), || {
            ensure!(
                agent.run_id().is_err() && agent.starts()? == starts,
                "somebody started it"
            );
            Ok(())
        })?;
        fs::remove_file(agent.data().join("chains/t0rn_testnet/db/full/000103.log"))?;
        agent.ok(["start"])?;
        agent.wait_watched()?;
    }
    Ok(())
}

#[test]
fn a_bad_command_line_is_held() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "arguments", &["--sim-nonsense"])?;
    agent.start()?;
    let status = agent.wait_phase("holding", SOON)?;
    ensure!(status["reasons"].to_string().contains("collator.command"), "{status}");
    Ok(())
}

#[test]
fn a_crash_loop_is_slowed_down_and_critical() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "loop", &[])?;
    agent.end(rustix::process::Signal::TERM)?;
    agent.set("restart.backoff_max", "1h")?;
    agent.start()?;
    agent.wait_watched()?;
    let fail = FailStarts {
        count: None,
        code: 101,
        log: vec!["Thread 'x' panicked at 'y'".to_owned()],
    };
    agent.sim().control(&Command::FailStarts(fail))?;
    agent.sim().control(&Command::crash(101))?;
    let status = agent.wait_for("the verdict", LATER, |s| {
        s["health"] == "critical" && s["phase"] == "backoff"
    })?;
    ensure!(status["reasons"].to_string().contains("again and again"), "{status}");
    agent.wait_down(SOON)?;
    let starts = agent.starts()?;
    wait::throughout("nobody goes on looping", Duration::from_secs(10), || {
        ensure!(agent.starts()? == starts, "it was started");
        Ok(())
    })
}

#[test]
fn before_the_disk_is_full_it_is_stopped_and_with_room_it_starts_again() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "disk", &[])?;
    fs::create_dir(agent.data())?;
    let _small = SmallDisk::mount(&agent)?;
    agent.set("host.disk_floor", "32MiB")?;
    agent.start()?;
    agent.wait_watched()?;
    let filler = agent.data().join("filler");
    fs::write(&filler, vec![0; 40 << 20])?;
    let status = agent.wait_phase("holding", Duration::from_mins(3))?;
    ensure!(
        status["health"] == "critical" && status["reasons"].to_string().contains("disk"),
        "{status}"
    );
    ensure!(agent.wait_down(SOON)? == 0, "it was not stopped cleanly");
    fs::remove_file(&filler)?;
    agent.wait_for("the start", Duration::from_mins(3), |s| s["phase"] == "synced")?;
    ensure!(agent.starts()? == 2);
    Ok(())
}

/// 64 MiB in place of the agent's chain data.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(agent: &Agent) -> Result<Self> {
        let path = agent.data().to_owned();
        let mut mount = Program::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=64m,uid=1000,gid=1000", "tmpfs"])
            .arg(&path);
        let output = wait::run(10, &mut mount)?;
        ensure!(
            output.status.success(),
            "mount: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the container that uses it goes after this.
        let _ = Program::new("umount").arg("-l").arg(&self.0).status();
    }
}
