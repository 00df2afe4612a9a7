//! The package upgraded while something is under way: the new agent adopts, resumes or finishes it, and the collator is
//! started no more often than it would have been.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::nspawn::NspawnMachine;
use t0rn_agent_tests::repository::package;
use t0rn_agent_tests::wait::{self, LATER, SOON};

use crate::host::{INSTALL, RUN, main_pid, running, wait_watched};

/// What is long enough to be upgraded in: a stop takes 4 s, a start 2 s, an image 10 s until it is believed.
const SLOW: &str = r#"
set -e
cd /etc/t0rn-agent
sed -i 's/"--sim-target", "10000000"/&, "--sim-stop-delay", "4000", "--sim-start-delay", "2000"/' agent.toml
sed -i 's/^start_timeout = .*/start_timeout = "20s"/' agent.toml
sed -i 's/^scrape_timeout = .*/&\nfrozen_after = "10s"\nstartup_grace = "5s"/' agent.toml
printf '\n[update]\nprobation = "10s"\nrepositories = ["sim-next", "127.0.0.1:5000/nothing"]\n' >>agent.toml
t0rn-agent config check agent.toml
systemctl restart t0rn-agent
"#;

/// A registry that takes connections and never answers.
const HANGING_REGISTRY: &str = r#"
cat >/root/registry.py <<'END'
import socket
listener = socket.create_server(("127.0.0.1", 5000))
kept = []
while True:
    kept.append(listener.accept()[0])
    open("/root/asked", "w").close()
END
systemd-run --quiet --unit registry python3 /root/registry.py
"#;

/// A machine, and versions of the package that it has not had yet.
struct Upgraded {
    machine: NspawnMachine,
    built: u32,
    installed: u32,
}

impl Upgraded {
    fn new() -> Result<Self> {
        let machine = running()?;
        machine.ok("dpkg-deb --raw-extract /root/agent.deb /root/next")?;
        let (built, installed) = (0, 0);
        Ok(Self {
            machine,
            built,
            installed,
        })
    }

    /// Builds the next version beforehand, so that its installation takes as long as `dpkg` does.
    fn build(&mut self) -> Result<()> {
        self.built += 1;
        let script = format!(
            "sed -i 's/^Version: \\([^+]*\\).*/Version: \\1+next{version}/' /root/next/DEBIAN/control \
             && dpkg-deb --root-owner-group -Znone --build /root/next /root/next{version}.deb",
            version = self.built
        );
        self.machine.ok(&script)?;
        Ok(())
    }

    /// Installs the next of the versions that were built; the former agent is gone afterwards.
    fn install(&mut self) -> Result<()> {
        let former = main_pid(&self.machine)?;
        self.installed += 1;
        self.machine
            .ok(&format!("{INSTALL} /root/next{}.deb", self.installed))?;
        ensure!(main_pid(&self.machine)? != former, "the former agent still runs");
        Ok(())
    }

    fn status(&self) -> Result<Value> {
        let output = self.machine.run("t0rn-agent status --json")?;
        serde_json::from_slice(&output.stdout).context("no status")
    }

    fn wait_for(&self, what: &str, good: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until(what, LATER, || {
            let status = self.status()?;
            ensure!(good(&status), "{status}");
            Ok(status)
        })
    }

    /// How often a collator was started since the machine was booted.
    fn starts(&self) -> Result<usize> {
        let events = "docker events --since 0 --until \"$(date +%s)\" --filter type=container --filter event=start";
        Ok(self.machine.ok(events)?.lines().count())
    }

    /// Runs a command of the machine beside the test.
    fn spawn(&self, script: &str) -> Result<std::process::Child> {
        let mut command = Command::new("nsenter");
        command.args(["--all", "--target", &self.machine.init()?.to_string(), "env", "-i"]);
        command.args([
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "sh",
            "-c",
            script,
        ]);
        let output = fs::File::create(self.machine.path("/root/output")?)?;
        Ok(command.stdout(output.try_clone()?).stderr(output).spawn()?)
    }

    fn ended_well(&self, mut child: std::process::Child) -> Result<()> {
        let ended = wait::exit(&mut child, LATER)?;
        let said = fs::read_to_string(self.machine.path("/root/output")?)?;
        ensure!(ended.success(), "{ended}: {said}");
        Ok(())
    }

    fn start(&mut self) -> Result<()> {
        self.machine.ok("t0rn-agent stop")?;
        self.wait_for("the stop", |status| {
            status["phase"] == "stopped" && status["collator"]["state"] == "exited"
        })?;
        self.build()?;
        let before = self.starts()?;
        self.machine.ok("t0rn-agent start")?;
        self.install()?;
        wait_watched(&self.machine)?;
        ensure!(
            self.starts()? == before + 1,
            "started {} times",
            self.starts()? - before
        );
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.build()?;
        let (before, run) = (self.starts()?, self.machine.ok(RUN)?);
        self.machine.ok("t0rn-agent restart --reason test")?;
        self.install()?;
        wait::until("the restart", LATER, || {
            ensure!(self.machine.ok(RUN)? != run, "not yet");
            Ok(())
        })?;
        wait_watched(&self.machine)?;
        ensure!(
            self.starts()? == before + 1,
            "started {} times",
            self.starts()? - before
        );
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        self.build()?;
        let before = self.starts()?;
        self.machine.ok("t0rn-agent stop")?;
        self.install()?;
        let stopped = |status: &Value| status["phase"] == "stopped" && status["collator"]["state"] == "exited";
        self.wait_for("the stop", stopped)?;
        self.build()?;
        self.install()?;
        self.wait_for("the stop to be known", stopped)?;
        ensure!(self.starts()? == before, "it was started against the operator's wish");
        self.machine.ok("t0rn-agent start")?;
        wait_watched(&self.machine)?;
        Ok(())
    }

    fn pull(&mut self) -> Result<()> {
        self.build()?;
        self.machine.ok(HANGING_REGISTRY)?;
        let run = self.machine.ok(RUN)?;
        self.machine.ok("t0rn-agent update --image 127.0.0.1:5000/nothing:v2")?;
        wait::until("the pull", SOON, || self.machine.ok("[ -e /root/asked ]").map(drop))?;
        self.machine.ok("rm /root/asked")?;
        self.install()?;
        // It is asked for again, or the end of it is known: not forgotten.
        self.wait_for("the update to be known", |status| {
            status["update"]["image"] == "127.0.0.1:5000/nothing:v2"
        })?;
        self.machine.ok("systemctl stop registry")?;
        self.wait_for("the end of the update", |status| status["update"]["result"] == "failed")?;
        ensure!(wait_watched(&self.machine)? == run, "the collator was touched");
        Ok(())
    }

    fn update(&mut self) -> Result<()> {
        // Both beforehand: nothing that is watched waits for a build.
        self.build()?;
        self.build()?;
        self.machine.ok("docker tag sim-collator sim-next:v2")?;
        let changes = "-c 'LABEL next=true' -c 'ENTRYPOINT [\"/usr/local/bin/sim-collator\"]' -c 'USER 1000:1000' \
                       -c 'WORKDIR /node' -c 'VOLUME /node/data'";
        self.machine
            .ok(&format!("docker import {changes} /root/image.tar sim-next:v2"))?;
        let before = self.starts()?;
        self.machine.ok("t0rn-agent update --image sim-next:v2")?;
        // Once while the former collator stops, and once while the new one is watched.
        self.wait_for("the stop for the update", |status| !status["update"]["step"].is_null())?;
        self.install()?;
        self.wait_for("the probation", |status| status["update"]["step"] == "probation")?;
        self.install()?;
        self.wait_for("the end of the update", |status| status["update"]["result"] == "done")?;
        let image = "docker inspect --format '{{index .Config.Labels \"t0rn-agent.image\"}}' t0rn-collator";
        ensure!(self.machine.ok(image)? == "sim-next:v2");
        ensure!(
            self.starts()? == before + 1,
            "started {} times",
            self.starts()? - before
        );
        Ok(())
    }

    fn snapshot(&mut self) -> Result<()> {
        self.machine.ok(
            "head -c 80M /dev/urandom >/var/lib/t0rn-collator/chains/t0rn_testnet/db/full/009999.sst \
                         && chown 1000:1000 /var/lib/t0rn-collator/chains/t0rn_testnet/db/full/009999.sst",
        )?;
        self.build()?;
        let before = self.starts()?;
        let create = self.spawn("t0rn-agent snapshot create --to /root/chain.tar.zst")?;
        self.wait_for("the stop for the snapshot", |status| status["phase"] == "stopped")?;
        self.install()?;
        self.ended_well(create)?;
        wait_watched(&self.machine)?;
        ensure!(
            self.starts()? == before + 1,
            "started {} times",
            self.starts()? - before
        );
        self.machine.ok("t0rn-agent snapshot verify /root/chain.tar.zst")?;
        Ok(())
    }

    fn restore(&mut self) -> Result<()> {
        self.build()?;
        self.build()?;
        let before = self.starts()?;
        let restore = self.spawn("t0rn-agent snapshot restore /root/chain.tar.zst")?;
        wait::until("the restore", SOON, || {
            self.machine.ok("[ -e /var/lib/t0rn-collator/.restore ]").map(drop)
        })?;
        self.install()?;
        wait::until("the stop for the restore", LATER, || {
            let (status, said) = (self.status()?, fs::read_to_string(self.machine.path("/root/output")?)?);
            ensure!(status["phase"] == "stopped", "{status} {said}");
            Ok(())
        })?;
        self.install()?;
        self.ended_well(restore)?;
        wait_watched(&self.machine)?;
        ensure!(
            self.starts()? == before + 1,
            "started {} times",
            self.starts()? - before
        );
        self.machine
            .ok("[ ! -e /var/lib/t0rn-collator/.restore ] && [ ! -e /var/lib/t0rn-agent/stopped-for-snapshot ]")?;
        Ok(())
    }

    fn incident(&mut self) -> Result<()> {
        self.build()?;
        let before = self.starts()?;
        let freeze = r#"address=$(docker inspect --format '{{.NetworkSettings.IPAddress}}' t0rn-collator)
                        curl -fsS --data '{"do":"freeze"}' "http://${address:-127.0.0.1}:7999/control""#;
        self.machine.ok(freeze)?;
        wait::until("the incident", LATER, || {
            self.machine
                .ok("ls -d /var/lib/t0rn-agent/incidents/*-frozen")
                .map(drop)
        })?;
        self.install()?;
        wait::until("the restart", LATER, || {
            ensure!(self.starts()? > before, "not yet");
            Ok(())
        })?;
        wait_watched(&self.machine)?;
        ensure!(
            self.starts()? == before + 1,
            "started {} times",
            self.starts()? - before
        );
        let listed: Value = serde_json::from_str(&self.machine.ok("t0rn-agent incidents --json")?)?;
        let incidents = listed.as_array().context("no list")?;
        let frozen = incidents.iter().filter(|incident| incident["cause"] == "frozen");
        ensure!(frozen.count() == 1, "{listed}");
        self.machine
            .ok("[ -z \"$(find /var/lib/t0rn-agent/incidents -name '.half-*')\" ]")?;
        let budget = &self.status()?["collator"]["restarts"];
        ensure!(budget["health"] == 1, "{budget}");
        Ok(())
    }
}

#[test]
fn upgrade_during_each_action_adopts_resumes_or_finishes_it() -> Result<()> {
    t0rn_agent_tests::machine_or_skip!();
    ensure!(package()?.exists());
    let mut upgraded = Upgraded::new()?;
    upgraded.machine.ok(SLOW)?;
    wait_watched(&upgraded.machine)?;
    upgraded.start().context("start")?;
    upgraded.restart().context("restart")?;
    upgraded.stop().context("stop")?;
    upgraded.pull().context("pull")?;
    upgraded.incident().context("incident")?;
    upgraded.update().context("update")?;
    upgraded.snapshot().context("snapshot")?;
    upgraded.restore().context("restore")
}
