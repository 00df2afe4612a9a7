//! The simulated collator as an image.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::engine::Engine;
use crate::wait;

/// What the image says besides its files, as `docker import -c` takes it.
pub const CHANGES: [&str; 4] = [
    "USER 1000:1000",
    "WORKDIR /node",
    "VOLUME /node/data",
    r#"ENTRYPOINT ["/usr/local/bin/sim-collator"]"#,
];

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The image's name on `engine`; built there if it is not yet. The tag is a hash of the binary.
///
/// # Errors
/// The binary cannot be built, or not be imported.
pub fn sim(engine: &Engine) -> Result<String> {
    let binary = sim_binary()?;
    let bytes = fs::read(&binary).with_context(|| format!("failed to read {}", binary.display()))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    let tag = format!("t0rn-sim-collator:{:016x}", hasher.finish());
    // A second import would move the tag under the tests that run.
    let lock = fs::File::create(env::temp_dir().join("t0rn-agent-tests-image"))?;
    lock.lock()?;
    if !engine.try_docker(["image", "inspect", &tag])?.status.success() {
        import(engine, &tag, &bytes)?;
    }
    Ok(tag)
}

/// Another image with the simulated collator, which is given further flags first. Returns `name`.
///
/// # Errors
/// As [`sim`].
pub fn variant(engine: &Engine, name: &str, flags: &[&str]) -> Result<String> {
    let mut entrypoint = vec!["/usr/local/bin/sim-collator"];
    entrypoint.extend_from_slice(flags);
    let change = format!("ENTRYPOINT {}", serde_json::to_string(&entrypoint)?);
    let container = engine.docker(["create", &sim(engine)?])?;
    let container = container.trim();
    let committed = engine.docker(["commit", "--change", &change, container, name]);
    engine.docker(["rm", "-v", container])?;
    committed?;
    Ok(name.to_owned())
}

fn import(engine: &Engine, tag: &str, binary: &[u8]) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    write_archive(binary, file.path())?;
    let mut command = engine.command();
    command
        .arg("import")
        .args(CHANGES.iter().flat_map(|change| ["-c", change]));
    let output = command.arg(file.path()).arg(tag).output()?;
    ensure!(
        output.status.success(),
        "docker import: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Writes the image's files as a tar archive, for `docker import` with [`CHANGES`].
///
/// # Errors
/// The binary cannot be built, or the archive not be written.
pub fn archive(to: &Path) -> Result<()> {
    write_archive(&fs::read(sim_binary()?)?, to)
}

fn write_archive(binary: &[u8], to: &Path) -> Result<()> {
    let root = tempfile::tempdir()?;
    let path = root.path().join("usr/local/bin");
    fs::create_dir_all(&path)?;
    fs::create_dir_all(root.path().join("node/data"))?;
    fs::create_dir_all(root.path().join("tmp"))?;
    fs::write(path.join("sim-collator"), binary)?;
    let mut tar = Command::new("tar");
    tar.arg("-C")
        .arg(root.path())
        .args(["--owner=1000", "--group=1000", "--mode=a+rx", "-cf"])
        .arg(to)
        .arg(".");
    let output = tar.output().context("failed to run tar")?;
    ensure!(
        output.status.success(),
        "tar: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// The static binary: `T0RN_SIM_BIN`, else the one beside this program, built when it is not there.
pub(crate) fn sim_binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("T0RN_SIM_BIN") {
        return Ok(path.into());
    }
    let target = target_dir()?;
    let path = target.join(TARGET).join("debug/sim-collator");
    if !path.exists() {
        let mut build = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        build
            .args([
                "build",
                "--quiet",
                "--package",
                "t0rn-agent-tests",
                "--bin",
                "sim-collator",
            ])
            .args(["--target", TARGET, "--target-dir"])
            .arg(&target)
            .arg("--manifest-path")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .env("RUSTFLAGS", "-C target-feature=+crt-static");
        let output = wait::run(900, &mut build)?;
        ensure!(
            output.status.success(),
            "{build:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(path)
}

/// The folder into which cargo builds, from where it put this test.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let program = env::current_exe()?;
    let profile = program
        .ancestors()
        .find(|p| p.ends_with("debug") || p.ends_with("release"));
    let target = profile
        .and_then(Path::parent)
        .context("this program does not lie in a target folder")?;
    Ok(target.to_owned())
}
