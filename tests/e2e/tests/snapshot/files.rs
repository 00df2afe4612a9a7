//! Snapshots to and from files and pipes: verified, signed, and on a full disk.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::agent::binary;
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait::run;

use crate::{Host, said};

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
