//! Snapshots by the command: to files and to S3, over lines that break, killed, on a full disk; and with a real engine, a
//! collator that goes on from one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use t0rn_agent_tests::agent::{Agent, binary};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::objects::Objects;
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait::{SOON, run, until};
use tempfile::TempDir;

/// A host without an engine and without an agent: a configuration, and data.
struct Host {
    dir: TempDir,
    objects: Option<String>,
}

impl Host {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("data"))?;
        let place = dir.path().display();
        let config = format!(
            "[agent]\nstate_dir = \"{place}/state\"\nsocket = \"{place}/agent.sock\"\ndocker = \"{place}/docker.sock\"\n\
             [collator]\nimage = \"example.org/collator:1\"\n[data]\npath = \"{place}/data\"\n"
        );
        fs::write(dir.path().join("agent.toml"), config)?;
        Ok(Self { dir, objects: None })
    }

    /// With so many files of half a MiB that do not compress.
    fn with_chain(files: u32) -> Result<Self> {
        let host = Self::new()?;
        put(&host.data(), "chains/t0rn/db/full/CURRENT", b"MANIFEST-1\n")?;
        put(&host.data(), "chains/t0rn/keystore/61757261", b"SECRET")?;
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for number in 0..files {
            let noise = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            });
            let content: Vec<u8> = noise.take(64 << 10).flatten().collect();
            put(&host.data(), &format!("chains/t0rn/db/full/{number:06}.sst"), &content)?;
        }
        Ok(host)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command
            .arg("--config")
            .arg(self.dir.path().join("agent.toml"))
            .args(args);
        command
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret");
        command.env("AWS_REGION", "eu-west-1");
        command.envs(self.objects.iter().map(|url| ("AWS_ENDPOINT_URL_S3", url)));
        Ok(command)
    }

    fn snapshot(&self, args: &[&str]) -> Result<Output> {
        run(60, &mut self.command(&[&["snapshot"], args].concat())?)
    }

    /// What has to succeed. Returns what it prints.
    fn done(&self, args: &[&str]) -> Result<String> {
        let output = self.snapshot(args)?;
        ensure!(output.status.success(), "{args:?}: {}", said(&output));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What has to fail. Returns what it says.
    fn failed(&self, args: &[&str]) -> Result<String> {
        let output = self.snapshot(args)?;
        ensure!(
            output.status.code() == Some(1),
            "{args:?}: {} {}",
            output.status,
            said(&output)
        );
        Ok(said(&output))
    }

    fn database(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.data().join("chains/t0rn/db/full"))? {
            let entry = entry?;
            found.push((
                entry.file_name().to_string_lossy().into_owned(),
                fs::read(entry.path())?,
            ));
        }
        found.sort();
        Ok(found)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn put(root: &Path, place: &str, content: &[u8]) -> Result<()> {
    let path = root.join(place);
    fs::create_dir_all(path.parent().context("no parent")?)?;
    Ok(fs::write(path, content)?)
}

#[test]
fn a_file_is_verified_by_exit_code_and_restored_by_pipe() -> Result<()> {
    let (from, to) = (Host::with_chain(10)?, Host::new()?);
    let file = from.dir.path().join("chain.tar.zst");
    let name = file.to_str().context("a path")?;
    from.done(&["create", "--to", name])?;
    ensure!(from.done(&["verify", name])?.contains("ok"));
    let listed = run(30, Command::new("sh").args(["-c", "zstd -dc \"$0\" | tar -t", name]))?;
    let listed = said(&listed);
    ensure!(
        listed.contains("000009.sst") && !listed.contains("keystore"),
        "{listed}"
    );

    fs::remove_dir(to.data())?; // a host on which nothing ran yet
    let piped = to.command(&["snapshot", "restore", "-"])?;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "cat \"$0\" | \"$@\"", name])
        .arg(piped.get_program())
        .args(piped.get_args());
    let output = run(60, &mut shell)?;
    ensure!(output.status.success(), "{}", said(&output));
    ensure!(
        said(&output).contains("needs "),
        "the room is told beforehand: {}",
        said(&output)
    );
    ensure!(to.database()? == from.database()?);

    let mut bad = fs::read(&file)?;
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&file, bad)?;
    ensure!(from.failed(&["verify", name])?.contains("chunk "));
    let before = to.database()?;
    ensure!(to.failed(&["restore", name])?.contains("chunk "));
    ensure!(to.database()? == before);
    ensure!(from.snapshot(&["verify", "/nothing/there"])?.status.code() == Some(2));
    Ok(())
}

#[test]
fn minisign_verifies_what_is_signed_here_and_what_is_not_is_not_taken() -> Result<()> {
    if Command::new("minisign").arg("-v").output().is_err() {
        skip!("no minisign to verify with");
    }
    let (from, to) = (Host::with_chain(2)?, Host::new()?);
    let dir = from.dir.path();
    let path = |name: &str| dir.join(name).display().to_string();
    let (file, secret, public, other) = (
        &*path("chain.tar.zst"),
        &*path("secret.key"),
        &*path("public.key"),
        &*path("other.key"),
    );
    for (secret, public) in [(secret, public), (&*path("unused.key"), other)] {
        let made = run(
            30,
            Command::new("minisign").args(["-G", "-W", "-s", secret, "-p", public]),
        )?;
        ensure!(made.status.success(), "{}", said(&made));
    }
    from.done(&["create", "--to", file, "--sign", secret])?;
    let manifest = format!("{file}.manifest.json");
    let verified = run(30, Command::new("minisign").args(["-V", "-p", public, "-m", &manifest]))?;
    ensure!(verified.status.success(), "{}", said(&verified));
    from.done(&["verify", file, "--public-key", public])?;
    ensure!(
        from.failed(&["verify", file, "--public-key", other])?
            .contains("another key")
    );
    ensure!(
        to.failed(&["restore", file, "--public-key", other])?
            .contains("another key")
    );
    ensure!(!to.data().join("chains").exists());
    to.done(&["restore", file, "--public-key", public])?;
    ensure!(to.database()? == from.database()?);

    from.done(&["create", "--to", file])?;
    ensure!(
        from.failed(&["verify", file, "--public-key", public])?
            .contains("carries no signature")
    );
    Ok(())
}

#[test]
fn an_upload_that_broke_off_sends_only_what_is_missing_and_is_restored_over_lines_that_break() -> Result<()> {
    let objects = Objects::start()?;
    let (mut from, mut to) = (Host::with_chain(60)?, Host::new()?);
    from.objects = Some(objects.url.clone());
    to.objects = Some(objects.url.clone());
    objects.store().refuse_above = Some(2);
    let failed = from.failed(&["create", "--to", "s3://bucket/a chain.tar.zst"])?;
    ensure!(failed.contains("UploadPart: 403"), "{failed}");
    ensure!(objects.store().sent == [1, 2] && objects.store().objects.is_empty());

    objects.store().refuse_above = None;
    from.done(&["create", "--to", "s3://bucket/a chain.tar.zst"])?;
    // The first has the time in it.
    ensure!(objects.store().sent == [1, 2, 1, 3, 4], "{:?}", objects.store().sent);

    objects.store().break_after = Some(9 << 20);
    to.done(&["restore", "s3://bucket/a chain.tar.zst"])?;
    ensure!(objects.store().reads.len() >= 4, "{:?}", objects.store().reads);
    ensure!(to.database()? == from.database()?);
    let url = format!("{}/bucket/a%20chain.tar.zst", objects.url);
    ensure!(to.done(&["verify", &url])?.contains("ok"));
    Ok(())
}

#[test]
fn a_killed_restore_leaves_the_data_says_so_and_finishes_when_it_is_run_again() -> Result<()> {
    let objects = Objects::start()?;
    let (from, to) = (Host::with_chain(20)?, Host::with_chain(1)?);
    let file = from.dir.path().join("chain.tar.zst");
    from.done(&["create", "--to", file.to_str().context("a path")?])?;
    objects
        .store()
        .objects
        .insert("/chain.tar.zst".to_owned(), fs::read(&file)?);
    let url = format!("{}/chain.tar.zst", objects.url);
    let before = to.database()?;
    objects.store().hang_after = Some(6 << 20);
    let mut restore = spawn(&to, &["snapshot", "restore", &url])?;
    until("something is unpacked", SOON, || {
        let unpacked = to.data().join(".restore/tree/chains/t0rn/db/full/000004.sst");
        ensure!(unpacked.exists(), "not yet");
        Ok(())
    })?;
    ensure!(to.failed(&["restore", &url])?.contains("another snapshot or restore"));
    restore.kill()?;
    restore.wait()?;
    ensure!(to.database()? == before);
    let status = said(&run(30, &mut to.command(&["status"])?)?);
    ensure!(status.contains("was interrupted"), "{status}");

    objects.store().hang_after = None;
    to.done(&["restore", &url])?;
    ensure!(to.database()? == from.database()?);
    ensure!(fs::read(to.data().join("chains/t0rn/keystore/61757261"))? == b"SECRET");
    Ok(())
}

fn spawn(host: &Host, args: &[&str]) -> Result<Child> {
    let mut command = host.command(args)?;
    Ok(command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?)
}

#[test]
fn a_full_disk_is_told_beforehand_or_leaves_the_data_as_it_was() -> Result<()> {
    let (from, to) = (Host::with_chain(40)?, Host::new()?);
    let (snapshot, archive) = (from.dir.path().join("chain.tar.zst"), from.dir.path().join("chain.tar"));
    from.done(&["create", "--to", snapshot.to_str().context("a path")?])?;
    let data = from.data();
    let packed = run(
        30,
        Command::new("tar")
            .arg("-cf")
            .arg(&archive)
            .arg("-C")
            .arg(&data)
            .arg("chains"),
    )?;
    ensure!(packed.status.success(), "{}", said(&packed));
    let sum = said(&run(30, Command::new("sha256sum").arg(&archive))?);
    let sum = sum.split(' ').next().context("a sum")?;
    let script = r#"mount -t tmpfs -o size=10m tmpfs "$DATA" && mkdir -p "$DATA/chains/t0rn/db/full" &&
        echo old >"$DATA/chains/t0rn/db/full/CURRENT" && "$@"; echo "code $?"; cat "$DATA/chains/t0rn/db/full/CURRENT""#;
    let on_a_small_disk = |args: &[&str]| -> Result<String> {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", script, "sh"])
            .env("DATA", to.data());
        command
            .arg(binary()?)
            .arg("--config")
            .arg(to.dir.path().join("agent.toml"))
            .args(args);
        Ok(said(&run(60, &mut command)?))
    };
    let told = on_a_small_disk(&["snapshot", "restore", snapshot.to_str().context("a path")?])?;
    ensure!(told.contains("code 1\nold") && told.contains("make room"), "{told}");
    let archive = archive.to_str().context("a path")?;
    let told = on_a_small_disk(&["snapshot", "restore", archive, "--sha256", sum])?;
    ensure!(
        told.contains("code 1\nold") && told.contains("the disk is nearly full"),
        "{told}"
    );
    Ok(())
}

/// A command with the agent's configuration.
fn client(agent: &Agent<'_>, args: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    run(120, command.arg("--config").arg(agent.config_file()).args(args))
}

const QUICK: [&str; 6] = [
    "--sim-target",
    "3000",
    "--sim-speed",
    "1000",
    "--sim-relay-target",
    "3000",
];

#[test]
fn a_signal_while_the_collator_stops_brings_it_back_and_after_a_kill_the_status_says_what_to_do() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "interrupted", &["--sim-stop-delay", "4000"])?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("chain.tar.zst");
    for signal in [Signal::TERM, Signal::HUP, Signal::KILL] {
        let run = agent.run_id()?;
        let mut command = Command::new(binary()?);
        command
            .arg("--config")
            .arg(agent.config_file())
            .args(["snapshot", "create", "--to"]);
        let mut create = command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        agent.wait_phase("stopped", SOON)?;
        let started = client(&agent, &["start"])?;
        ensure!(
            said(&started).contains("a snapshot or a restore is at work"),
            "{}",
            said(&started)
        );
        kill_process(Pid::from_child(&create), signal)?;
        ensure!(!create.wait()?.success(), "it went on");
        if signal == Signal::KILL {
            agent.wait_down(SOON)?;
            let status = said(&client(&agent, &["status"])?);
            ensure!(status.contains("did not end well: t0rn-agent start"), "{status}");
            client(&agent, &["start"])?;
        }
        agent.wait_other_run(&run, SOON)?;
        agent.wait_watched()?;
        ensure!(
            signal == Signal::KILL || fs::read_dir(dir.path())?.next().is_none(),
            "half a file stayed"
        );
    }
    Ok(())
}

#[test]
fn a_collator_is_stopped_copied_started_and_another_goes_on_from_its_height() -> Result<()> {
    let engine = Engine::shared()?;
    let from = Agent::running(&engine, "copied", &QUICK)?;
    let high = until("the chain is high", SOON * 3, || {
        let best = from.status()?["chains"]["parachain"]["best"].as_u64();
        best.filter(|best| *best > 1_500).context("not yet")
    })?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("chain.tar.zst");
    let name = file.to_str().context("a path")?;
    let before = from.run_id()?;
    let created = client(&from, &["snapshot", "create", "--to", name])?;
    ensure!(created.status.success(), "{}", said(&created));
    from.wait_other_run(&before, SOON * 2)?;
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(format!("{name}.manifest.json"))?)?;
    ensure!(manifest["consistency"] == "clean", "{manifest}");
    let chain = &manifest["chains"]["chains/t0rn_testnet"];
    ensure!(
        chain["genesis"].as_str().is_some_and(|genesis| genesis.len() == 64),
        "{manifest}"
    );
    ensure!(chain["best"].as_u64() >= Some(high), "{manifest}");

    let mut to = Agent::running(&engine, "restored", &["--sim-target", "3000", "--sim-speed", "1"])?;
    let restored = client(&to, &["snapshot", "restore", name])?;
    ensure!(restored.status.success(), "{}", said(&restored));
    until("it goes on from the height", SOON * 2, || {
        let best = to.status()?["chains"]["parachain"]["best"].as_u64();
        best.filter(|best| *best >= high).context("not yet")
    })?;

    // What a restore leaves that was killed between the old data and the new.
    to.kill()?;
    let journal = serde_json::json!({
        "schema": 1, "stage": "switching", "source": name, "head": "", "point": null, "units": [], "keep_old": false,
    });
    put(to.data(), ".restore/journal.json", journal.to_string().as_bytes())?;
    to.start()?;
    until("it holds", SOON * 2, || {
        let status = to.status()?;
        let why = status["reasons"].to_string();
        ensure!(
            status["phase"] == "holding" && why.contains("restore was interrupted"),
            "{status}"
        );
        Ok(())
    })?;
    let restored = client(&to, &["snapshot", "restore", name])?;
    ensure!(restored.status.success(), "{}", said(&restored));
    client(&to, &["start"])?;
    to.wait_watched()?;
    Ok(())
}
