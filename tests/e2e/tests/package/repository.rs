//! The apt repository of a release: apt takes the package from it, and nothing that its key did not sign.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::repository::{package, root, tool};
use t0rn_agent_tests::{skip, wait};
use tempfile::TempDir;

const IN_RELEASE: &str = "dists/stable/InRelease";
const PACKAGES: &str = "dists/stable/main/binary-amd64/Packages";
const POOL: &str = "pool/main/t/t0rn-agent";

/// A signed repository with the package, and an apt that knows no other.
struct AptRepository {
    dir: TempDir,
}

impl AptRepository {
    fn new() -> Result<Self> {
        let made = Self {
            dir: tempfile::tempdir()?,
        };
        let apt = made.path("apt");
        for folder in [
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "var/lib/dpkg",
            "var/lib/apt/lists/partial",
        ] {
            fs::create_dir_all(apt.join(folder))?;
        }
        fs::write(apt.join("var/lib/dpkg/status"), "")?;
        made.build("repository")?;
        let (uri, key) = (made.path("repository"), made.path("repository/t0rn-agent.asc"));
        let source = format!(
            "Types: deb\nURIs: file:{}\nSuites: stable\nComponents: main\nSigned-By: {}\n",
            uri.display(),
            key.display(),
        );
        fs::write(apt.join("etc/apt/sources.list.d/t0rn-agent.sources"), source)?;
        Ok(made)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a repository in the folder `name`, with a key of its own, which a workflow has as a secret.
    fn build(&self, name: &str) -> Result<()> {
        // The path of an agent's socket has to be short.
        let home = tempfile::tempdir()?;
        let gpg = |args: &[&str]| -> Result<String> {
            let mut gpg = Command::new("gpg");
            gpg.args(["--batch", "--quiet", "--passphrase", ""]).args(args);
            let output = wait::run(60, gpg.env("GNUPGHOME", home.path()))?;
            ensure!(output.status.success(), "gpg: {output:?}");
            Ok(String::from_utf8(output.stdout)?)
        };
        gpg(&["--quick-generate-key", name, "ed25519", "sign", "never"])?;
        let key = gpg(&["--armor", "--export-secret-keys"])?;
        let mut kill = Command::new("gpgconf");
        wait::run(60, kill.args(["--kill", "all"]).env("GNUPGHOME", home.path()))?;
        let mut build = Command::new(root().join("dist/apt/build"));
        build.arg(self.path(name)).arg(package()?);
        let output = wait::run(60, build.env("APT_SIGNING_KEY", key))?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn apt(&self, args: &[&str]) -> Result<Output> {
        let dir = self.path("apt");
        let status = dir.join("var/lib/dpkg/status");
        let mut apt = Command::new("apt-get");
        apt.arg(format!("-oDir={}", dir.display()))
            .arg(format!("-oDir::State::status={}", status.display()))
            // Else a failed update is a warning; and the folders of a test are closed to another user.
            .args(["-oAPT::Update::Error-Mode=any", "-oAPT::Sandbox::User=root"])
            .args(["-oAPT::Architecture=amd64", "-oAPT::Architectures=amd64"])
            .args(args)
            .env("LC_ALL", "C")
            .current_dir(self.dir.path());
        wait::run(60, &mut apt)
    }

    /// Checks that apt refuses the repository with `reason`.
    fn refused(&self, args: &[&str], reason: &str) -> Result<()> {
        let output = self.apt(args)?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success() && error.contains(reason), "{output:?}");
        Ok(())
    }
}

/// Whether the programs that make a repository are there.
fn has_tools() -> bool {
    ["apt-get", "apt-ftparchive", "gpg"]
        .iter()
        .all(|name| tool(name).is_some())
}

fn append(file: &Path) -> Result<()> {
    let mut bytes = fs::read(file).with_context(|| file.display().to_string())?;
    bytes.push(b'\n');
    Ok(fs::write(file, bytes)?)
}

#[test]
fn apt_takes_the_package_from_the_signed_repository() -> Result<()> {
    if !has_tools() {
        skip!("apt-ftparchive or gpg is missing: tests/tools/setup apt-utils gpg");
    }
    let made = AptRepository::new()?;
    let update = made.apt(&["update"])?;
    ensure!(update.status.success() && update.stderr.is_empty(), "{update:?}");
    let download = made.apt(&["download", "t0rn-agent"])?;
    ensure!(download.status.success(), "{download:?}");
    let name = package()?.file_name().context("no name")?.to_owned();
    ensure!(
        fs::read(made.dir.path().join(name))? == fs::read(package()?)?,
        "the bytes differ"
    );
    Ok(())
}

#[test]
fn apt_refuses_what_the_key_of_the_repository_did_not_sign() -> Result<()> {
    if !has_tools() {
        skip!("apt-ftparchive or gpg is missing: tests/tools/setup apt-utils gpg");
    }
    let made = AptRepository::new()?;
    made.build("other")?;
    let signed = fs::read(made.path("repository").join(IN_RELEASE))?;

    // Of another key.
    fs::copy(
        made.path("other").join(IN_RELEASE),
        made.path("repository").join(IN_RELEASE),
    )?;
    made.refused(&["update"], "NO_PUBKEY")?;

    // Changed after it was signed.
    let changed = String::from_utf8(signed.clone())?.replace("Suite: stable", "Suite: stabler");
    fs::write(made.path("repository").join(IN_RELEASE), changed)?;
    made.refused(&["update"], "BADSIG")?;

    // No signature at all.
    fs::remove_file(made.path("repository").join(IN_RELEASE))?;
    fs::remove_file(made.path("repository/dists/stable/Release.gpg"))?;
    made.refused(&["update"], "is not signed")?;

    // What the signed list names has other bytes.
    fs::write(made.path("repository").join(IN_RELEASE), signed)?;
    ensure!(made.apt(&["update"])?.status.success(), "the repository is whole again");
    let name = package()?.file_name().context("no name")?.to_owned();
    append(&made.path("repository").join(POOL).join(name))?;
    made.refused(&["download", "t0rn-agent"], "Hash Sum mismatch")?;
    for list in ["", ".gz"] {
        append(&made.path("repository").join(format!("{PACKAGES}{list}")))?;
    }
    fs::remove_dir_all(made.path("apt/var/lib/apt/lists"))?;
    made.refused(&["update"], "Hash Sum mismatch")?;
    Ok(())
}
