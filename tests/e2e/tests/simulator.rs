//! The simulated collator keeps the promises that the other tests rely on, in a real container.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::http_client::get;
use t0rn_agent_tests::sim::Chain;
use t0rn_agent_tests::sim::control::{Answer, Command, Cure, FailStarts, Silence};
use t0rn_agent_tests::sim_container::SimContainer;
use t0rn_agent_tests::wait::{until, until_value};

const SOON: Duration = Duration::from_secs(15);

fn height(port: u16, status: &str) -> Result<u64> {
    let (code, page) = get(port, "/metrics")?;
    ensure!(code == 200, "status {code}");
    let series = format!("substrate_block_height{{status=\"{status}\"");
    let line = page.lines().find(|l| l.starts_with(&series)).context("no height")?;
    Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
}

#[test]
fn both_exporters_answer_and_both_chains_sync() -> Result<()> {
    let engine = Engine::shared()?;
    let sim = SimContainer::run(&engine, &[], &["--sim-target", "1000", "--sim-speed", "300"])?;
    for port in sim.exporters() {
        let first = until("the exporter", SOON, || height(port, "best"))?;
        until_value("progress", SOON, || height(port, "best"), |best| *best > first)?;
    }
    let [parachain, _] = sim.exporters();
    until("the tip", SOON, || {
        let (best, target) = (height(parachain, "best")?, height(parachain, "sync_target")?);
        ensure!(best >= 1000 && best == target, "best {best} of {target}");
        Ok(())
    })
}

#[test]
fn sigkill_loses_at_most_the_last_moment_and_a_restart_resumes() -> Result<()> {
    let engine = Engine::shared()?;
    let sim = SimContainer::run(&engine, &[], &["--sim-target", "100000", "--sim-speed", "500"])?;
    let before = until_value("some blocks", SOON, || sim.sim().best(), |best| *best > 2_000)?;
    engine.docker(["kill", "-s", "KILL", sim.name()])?;
    ensure!(sim.wait_exit(SOON)?["ExitCode"] == 137);
    engine.docker(["start", sim.name()])?;
    let after = until("the restarted collator", SOON, || sim.sim().best())?;
    ensure!(after > 1_000, "{after} is no resumption of {before}");
    ensure!(sim.read("chains/t0rn_testnet/db/full/000101.log")? == "2");
    Ok(())
}

#[test]
fn a_second_container_on_the_same_data_is_refused() -> Result<()> {
    let engine = Engine::shared()?;
    let sim = SimContainer::run(&engine, &[], &[])?;
    until("the first one", SOON, || sim.sim().best())?;
    let second = format!("{}-second", sim.name());
    sim.run_again(&second, &[], &[])?;
    let code = engine.docker(["wait", &second])?;
    let log = engine.try_docker(["logs", &second])?;
    engine.docker(["rm", "-v", &second])?;
    ensure!(code == "1", "exit code {code}");
    ensure!(String::from_utf8_lossy(&log.stderr).contains("Database file is in use."));
    ensure!(sim.read("chains/t0rn_testnet/db/full/000102.log")?.contains("refused"));
    sim.sim().best().context("the first one runs on")?;
    Ok(())
}

#[test]
fn sigterm_ends_it_with_code_0_unless_it_is_told_to_ignore_it() -> Result<()> {
    let engine = Engine::shared()?;
    let sim = SimContainer::run(&engine, &[], &[])?;
    sim.sim().control(&Command::Sigterm { obey: false })?;
    engine.docker(["stop", "--time", "1", sim.name()])?;
    ensure!(sim.state()?["ExitCode"] == 137);

    engine.docker(["start", sim.name()])?;
    until("the restarted collator", SOON, || sim.sim().best())?;
    engine.docker(["stop", "--time", "10", sim.name()])?;
    ensure!(sim.state()?["ExitCode"] == 0);
    ensure!(
        sim.logs()?
            .contains("Essential task `txpool-background` failed. Shutting down service.")
    );
    Ok(())
}

#[test]
fn it_eats_memory_until_the_kernel_kills_it() -> Result<()> {
    let engine = Engine::shared()?;
    let sim = SimContainer::run(&engine, &["--memory", "64m", "--memory-swap", "64m"], &[])?;
    sim.sim().control(&Command::Eat {
        bytes_per_second: 200_000_000,
    })?;
    let state = sim.wait_exit(SOON)?;
    ensure!(state["OOMKilled"] == true && state["ExitCode"] == 137, "{state}");
    Ok(())
}

#[test]
fn it_crashes_with_the_code_and_the_lines_that_were_asked_for() -> Result<()> {
    let engine = Engine::shared()?;
    let sim = SimContainer::run(&engine, &[], &[])?;
    let log = vec!["Thread 'tokio-runtime-worker' panicked at 'simulated'".to_owned()];
    sim.sim().control(&Command::Crash {
        code: 101,
        log: log.clone(),
    })?;
    ensure!(sim.wait_exit(SOON)?["ExitCode"] == 101);
    ensure!(sim.logs()?.contains(&log[0]));
    Ok(())
}

#[test]
fn failing_starts_are_counted_across_restarts() -> Result<()> {
    let engine = Engine::shared()?;
    let sim = SimContainer::run(&engine, &["--restart", "unless-stopped"], &[])?;
    let log = vec!["Error: Service(Client(Backend(\"DB corrupted: Corruption: simulated\")))".to_owned()];
    let fail = FailStarts {
        count: Some(2),
        code: 1,
        log: log.clone(),
    };
    sim.sim().control(&Command::FailStarts(fail))?;
    sim.sim().control(&Command::crash(1))?;
    until_value(
        "the start after two failures",
        SOON,
        || sim.read("chains/t0rn_testnet/db/full/000101.log"),
        |starts| starts == "4",
    )?;
    until("the collator", SOON, || sim.sim().best())?;
    ensure!(sim.logs()?.matches(&log[0]).count() == 2);
    Ok(())
}

#[test]
fn a_stall_is_cured_by_a_restart_or_persists_as_told() -> Result<()> {
    let engine = Engine::shared()?;
    let sim = SimContainer::run(&engine, &[], &["--sim-target", "100000", "--sim-block-time", "100"])?;
    for (cure, cured) in [(Cure::Restart, true), (Cure::Never, false)] {
        sim.sim().control(&Command::Stall {
            chain: Chain::Parachain,
            cure,
            bytes_per_second: 3072.0,
        })?;
        let stuck = sim.sim().state()?["parachain"].take();
        until("a moving target", SOON, || {
            let now = sim.sim().state()?["parachain"].take();
            ensure!(now["best"] == stuck["best"], "{now}");
            ensure!(now["target"].as_u64() > stuck["target"].as_u64(), "{now}");
            Ok(())
        })?;
        engine.docker(["restart", sim.name()])?;
        let best = until("the restarted collator", SOON, || sim.sim().best())?;
        thread::sleep(Duration::from_secs(1));
        ensure!((sim.sim().best()? > best) == cured, "{cure:?}");
    }
    sim.sim().control(&Command::Recover)?;
    let best = sim.sim().best()?;
    until_value("progress", SOON, || sim.sim().best(), |now| *now > best)?;
    Ok(())
}

#[test]
fn an_exporter_answers_as_badly_as_it_is_told() -> Result<()> {
    let engine = Engine::shared()?;
    let sim = SimContainer::run(&engine, &[], &[])?;
    let [parachain, relaychain] = sim.exporters();
    until("the exporter", SOON, || get(parachain, "/metrics"))?;
    let answer = |answer| {
        sim.sim().control(&Command::Exporter {
            chain: Chain::Parachain,
            answer,
        })
    };
    let began = Instant::now();
    answer(Answer::Refuse)?;
    ensure!(get(parachain, "/metrics").is_err());
    answer(Answer::Status { code: 500 })?;
    // The listener comes back in its own time.
    until_value(
        "the status",
        SOON,
        || get(parachain, "/metrics"),
        |(code, _)| *code == 500,
    )?;
    answer(Answer::Truncated)?;
    ensure!(get(parachain, "/metrics").is_err());
    answer(Answer::Cut)?;
    ensure!(get(parachain, "/metrics")?.1.len() > 50_000);
    answer(Answer::Garbage)?;
    ensure!(!get(parachain, "/metrics")?.1.contains("substrate"));
    answer(Answer::Reset)?;
    ensure!(get(parachain, "/metrics").is_err());
    ensure!(began.elapsed() < SOON, "none of these takes a timeout");
    answer(Answer::Hang)?;
    ensure!(get(parachain, "/metrics").is_err());
    height(relaychain, "best").context("the other exporter is not touched")?;
    Ok(())
}

#[test]
fn a_frozen_collator_is_silent_and_stands_still() -> Result<()> {
    let engine = Engine::shared()?;
    let sim = SimContainer::run(&engine, &[], &["--sim-target", "100000"])?;
    until("the exporter", SOON, || get(sim.exporters()[0], "/metrics"))?;
    for mode in [Silence::Refuse, Silence::Hang] {
        sim.sim().control(&Command::Freeze { mode })?;
        let best = sim.sim().best()?;
        for port in sim.exporters() {
            ensure!(get(port, "/metrics").is_err(), "{mode:?}");
        }
        ensure!(sim.sim().best()? == best, "{mode:?}");
        sim.sim().control(&Command::Recover)?;
        for port in sim.exporters() {
            until("the exporter", SOON, || get(port, "/metrics"))?;
        }
    }
    Ok(())
}
