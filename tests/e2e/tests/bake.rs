//! Chain data baked with a real engine: proven, or refused; and run on afterwards.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ring::digest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, binary};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::{SOON, exit, until};

/// A sync of seconds.
const QUICK: [&str; 8] = [
    "--sim-target",
    "3000",
    "--sim-speed",
    "1000",
    "--sim-relay-target",
    "3000",
    "--sim-relay-speed",
    "1000",
];
/// Longest bake of a quick sync on a machine that is busy.
const BAKE: Duration = Duration::from_mins(2);

/// An agent's configuration that is baked with. The bake's container goes with it.
struct BakeHarness<'a> {
    engine: &'a Engine,
    agent: Agent<'a>,
}

impl<'a> BakeHarness<'a> {
    fn new(engine: &'a Engine, name: &str, more: &[&str]) -> Result<Self> {
        let agent = Agent::new(engine, name, &[&QUICK[..], more].concat())?;
        Ok(Self { engine, agent })
    }

    fn spawn(&self, args: &[&str]) -> Result<Child> {
        let mut command = Command::new(binary()?);
        command
            .args(["bake", "--config"])
            .arg(self.agent.config_file())
            .args(args);
        if !args.contains(&"--credible") {
            command.args(["--credible", "3s"]);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command.spawn()?)
    }

    fn bake(&self, args: &[&str]) -> Result<Output> {
        let mut child = self.spawn(args)?;
        let ended = exit(&mut child, BAKE);
        if ended.is_err() {
            child.kill()?;
        }
        let output = child.wait_with_output()?;
        ended.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok(output)
    }

    /// A bake that has to fail. Returns what it says.
    fn refused(&self, args: &[&str]) -> Result<String> {
        let output = self.bake(args)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(1), "{}: {said}", output.status);
        ensure!(!self.certificate_file().exists(), "a certificate after: {said}");
        Ok(said)
    }

    /// A bake that has to succeed. Returns the certificate.
    fn certified(&self, args: &[&str]) -> Result<Value> {
        let output = self.bake(args)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{}: {said}", output.status);
        Ok(serde_json::from_slice(&fs::read(self.certificate_file())?)?)
    }

    fn verify(&self) -> Result<(Option<i32>, Value)> {
        let output = Command::new(binary()?)
            .args(["bake", "verify", "--json"])
            .arg(self.data())
            .output()?;
        let report = serde_json::from_slice(&output.stdout).context("no report")?;
        Ok((output.status.code(), report))
    }

    /// Puts `certificate` beside the data, as one that was made so: its digest fits.
    fn forge(&self, mut certificate: Value) -> Result<()> {
        let fields = certificate.as_object_mut().context("no certificate")?;
        fields.remove("sha256").context("no digest of its own")?;
        let digest = digest::digest(&digest::SHA256, certificate.to_string().as_bytes());
        certificate["sha256"] = hex::encode(digest).into();
        Ok(fs::write(self.certificate_file(), certificate.to_string())?)
    }

    fn certificate_file(&self) -> std::path::PathBuf {
        self.data().join("bake.json")
    }

    fn data(&self) -> &Path {
        self.agent.data()
    }

    fn container(&self) -> String {
        format!("{}-bake", self.agent.container())
    }
}

impl Drop for BakeHarness<'_> {
    fn drop(&mut self) {
        let _ = self.engine.try_docker(["rm", "-fv", &self.container()]);
    }
}

#[test]
fn a_synced_chain_is_certified_verified_and_gone_on_from() -> Result<()> {
    let engine = Engine::shared()?;
    let mut bake = BakeHarness::new(&engine, "bake", &[])?;
    let certificate = bake.certified(&[])?;
    let parachain = &certificate["chains"]["parachain"];
    let baked = parachain["best"].as_u64().context("no height")?;
    ensure!(baked >= 2_990, "{certificate}");
    ensure!(parachain["id"] == "t0rn_testnet" && parachain["database"] == "rocksdb");
    ensure!(
        certificate["chains"]["relaychain"]["genesis"]
            .as_str()
            .is_some_and(|g| g.len() == 64)
    );
    ensure!(certificate["stop"]["clean"] == true);

    ensure!(engine.inspect(&bake.container())?.is_none(), "the container stays");
    ensure!(!bake.agent.state_dir().join("bake").exists(), "the bake's state stays");
    for base in ["chains/t0rn_testnet", "polkadot/chains/rococo_v2_2"] {
        let root = bake.data().join(base);
        ensure!(root.join("db/full/000100.log").exists());
        ensure!(!root.join("keystore").exists() && !root.join("network").exists());
    }
    let (code, report) = bake.verify()?;
    ensure!(code == Some(0) && report["ok"] == true, "{report}");

    let heights = bake.data().join("chains/t0rn_testnet/db/full/000100.log");
    let good = fs::read(&heights)?;
    let mut bad = good.clone();
    bad[0] ^= 1;
    fs::write(&heights, bad)?;
    let (code, report) = bake.verify()?;
    ensure!(code == Some(1), "{report}");
    ensure!(
        report["differences"]
            .to_string()
            .contains("chains/t0rn_testnet/db/full"),
        "{report}"
    );
    fs::write(&heights, good)?;
    ensure!(bake.verify()?.0 == Some(0));

    let written = fs::read_to_string(bake.certificate_file())?;
    fs::write(
        bake.certificate_file(),
        written.replacen("\"best\": ", "\"best\": 9", 1),
    )?;
    let (code, report) = bake.verify()?;
    ensure!(
        code == Some(1) && report["differences"].to_string().contains("its own sha256"),
        "{report}"
    );
    bake.agent.start()?;
    let status = bake.agent.wait_watched()?;
    ensure!(status["reasons"].to_string().contains("its own sha256"), "{status}");
    ensure!(status["health"] == "degraded" && status["bake"].is_null(), "{status}");
    bake.agent.end(Signal::TERM)?;
    fs::write(bake.certificate_file(), written)?;

    bake.agent.start()?;
    let status = bake.agent.wait_watched()?;
    ensure!(status["bake"]["block"] == baked, "{status}");
    let best = status["chains"]["parachain"]["best"].as_u64().context("no height")?;
    ensure!(best >= baked, "{best} after {baked}");
    Ok(())
}

#[test]
fn deadline_or_unclean_end_leaves_no_certificate_and_next_bake_resumes() -> Result<()> {
    let engine = Engine::shared()?;
    let mut bake = BakeHarness::new(&engine, "closed", &[])?;
    let said = bake.refused(&["--deadline", "15s", "--credible", "14s"])?;
    ensure!(said.contains("deadline"), "{said}");
    let inspect = engine.inspect(&bake.container())?.context("no container")?;
    ensure!(
        inspect["State"]["Status"] == "exited" && inspect["State"]["ExitCode"] == 0,
        "{inspect}"
    );

    bake.agent.set("collator.stop_timeout", "2s")?;
    bake.agent.set("collator.env.UNCLEAN", "1")?;
    let mut command: Vec<toml::Value> = [
        "--base-path",
        "/node/data",
        "--sim-fault",
        r#"{"do":"sigterm","obey":false}"#,
    ]
    .map(Into::into)
    .to_vec();
    command.extend(QUICK.map(toml::Value::from));
    command.extend(["--sim-block-time", "500", "--sim-relay-block-time", "500"].map(toml::Value::from));
    let obedient: Vec<_> = command.iter().take(2).chain(&command[4..]).cloned().collect();
    bake.agent.set("collator.command", command)?;
    let said = bake.refused(&[])?;
    ensure!(said.contains("exit code 137"), "{said}");

    bake.agent.set("collator.command", obedient)?;
    bake.certified(&[])?;
    Ok(())
}

#[test]
fn a_damaged_database_is_left_stopped_and_no_later_bake_vouches_for_it() -> Result<()> {
    let engine = Engine::shared()?;
    let crash = r#"{"do":"crash","code":1,"log":["Error: Service(Client(Backend(\"Corruption: block checksum mismatch\")))"],
        "after_seconds":4,"once":true}"#;
    let mut bake = BakeHarness::new(&engine, "damaged", &["--sim-fault", crash])?;
    // A busy engine reports an exit seconds after exporters fell silent: no restart for that comes before it.
    bake.agent.set("health.frozen_after", "1m")?;
    let said = bake.refused(&["--credible", "10m"])?;
    ensure!(said.contains("damaged"), "{said}");
    let inspect = engine.inspect(&bake.container())?.context("no container")?;
    ensure!(
        inspect["State"]["Status"] == "exited" && inspect["State"]["Restarting"] == false,
        "{inspect}"
    );

    let said = bake.refused(&[])?;
    ensure!(
        said.contains("block checksum mismatch") && said.contains("remove"),
        "{said}"
    );
    ensure!(!said.contains("t0rn-agent start"), "{said}");

    for entry in fs::read_dir(bake.data())? {
        fs::remove_dir_all(entry?.path())?;
    }
    // The fault comes once on a data directory, and these are new.
    let said = bake.refused(&["--credible", "10m"])?;
    ensure!(said.contains("damaged"), "{said}");
    Ok(())
}

#[test]
fn killed_half_way_the_next_bake_goes_on_with_the_same_run() -> Result<()> {
    let engine = Engine::shared()?;
    let bake = BakeHarness::new(&engine, "killed", &[])?;
    bake.certified(&[])?;
    let mut child = bake.spawn(&["--credible", "10m"])?;
    let run = until("the node to run", SOON, || {
        let inspect = engine.inspect(&bake.container())?.context("no container")?;
        ensure!(inspect["State"]["Running"] == true);
        Ok(inspect["State"]["StartedAt"].clone())
    })?;
    ensure!(!bake.certificate_file().exists(), "certified while the node runs");
    kill_process(Pid::from_child(&child), Signal::KILL)?;
    child.wait()?;
    let mut child = bake.spawn(&[])?;
    let inspect = engine.inspect(&bake.container())?.context("no container")?;
    ensure!(inspect["State"]["StartedAt"] == run);
    ensure!(exit(&mut child, BAKE)?.success());
    ensure!(bake.verify()?.0 == Some(0));
    Ok(())
}

#[test]
fn interrupted_while_it_reads_every_file_it_ends_without_a_certificate() -> Result<()> {
    let engine = Engine::shared()?;
    let bake = BakeHarness::new(&engine, "reading", &[])?;
    let folder = bake.data().join("chains/t0rn_testnet/db/full");
    bake.certified(&[])?;
    // Hours of reading, and no room on the disk.
    let endless = folder.join("999999.sst");
    fs::File::create(&endless)?.set_len(8 << 40)?;
    let mut child = bake.spawn(&[])?;
    let mut said = BufReader::new(child.stderr.take().context("no stderr")?).lines();
    said.by_ref()
        .find(|line| line.as_ref().is_ok_and(|line| line.contains("looking at every file")))
        .context("it never looked at the files")??;
    kill_process(Pid::from_child(&child), Signal::INT)?;
    ensure!(exit(&mut child, SOON)?.code() == Some(1));
    let said = said.collect::<std::io::Result<Vec<_>>>()?.join("\n");
    ensure!(
        said.contains("interrupted") && said.contains("nothing is certified"),
        "{said}"
    );
    ensure!(!bake.certificate_file().exists());
    Ok(())
}

#[test]
fn what_a_person_has_on_the_host_is_refused_before_anything_runs() -> Result<()> {
    let engine = Engine::shared()?;
    let bake = BakeHarness::new(&engine, "person", &[])?;
    for planted in [
        "chains/t0rn_testnet/keystore/61757261ff",
        "wallet.json",
        "chains/t0rn_testnet/network/secret_ed25519",
    ] {
        let path = bake.data().join(planted);
        fs::create_dir_all(path.parent().context("no parent")?)?;
        fs::write(&path, "words")?;
        let said = bake.refused(&[])?;
        ensure!(said.contains(planted.trim_end_matches("/61757261ff")), "{said}");
        ensure!(path.exists() && engine.inspect(&bake.container())?.is_none());
        fs::remove_dir_all(bake.data())?;
    }
    Ok(())
}

#[test]
fn a_collator_on_the_same_data_is_neither_touched_nor_baked_over() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::running(&engine, "taken", &QUICK)?;
    let run = agent.run_id()?;
    agent.kill()?;
    let bake = BakeHarness { engine: &engine, agent };
    let said = bake.refused(&[])?;
    ensure!(said.contains(bake.agent.container()), "{said}");
    ensure!(bake.agent.run_id()? == run);
    Ok(())
}

#[test]
fn data_of_another_chain_holds_and_no_start_gets_past_it() -> Result<()> {
    let engine = Engine::shared()?;
    let mut bake = BakeHarness::new(&engine, "other", &[])?;
    let mut certificate = bake.certified(&[])?;
    certificate["chains"]["parachain"]["genesis"] = "0".repeat(64).into();
    bake.forge(certificate)?;
    bake.agent.start()?;
    let status = bake.agent.wait_phase("holding", SOON)?;
    ensure!(status["reasons"].to_string().contains("another chain"), "{status}");
    bake.agent.wait_down(SOON)?;
    let starts = bake.agent.starts()?;
    bake.agent.ok(["start"])?;
    bake.agent.wait_phase("holding", SOON)?;
    ensure!(bake.agent.starts()? == starts, "started again");
    Ok(())
}
