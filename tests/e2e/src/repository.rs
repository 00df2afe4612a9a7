//! Paths of the repository, of what `make` built, and of the tools that `tests/tools/setup` installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::wait;

/// The root directory of the repository.
pub fn root() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.unwrap_or(Path::new("/"))
}

/// The cache directory of `tests/tools/setup`, outside the repository.
pub fn cache() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME")
        .filter(|cache| !cache.is_empty())
        .map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache"));
    cache.join("t0rn-agent")
}

/// The directory of the programs that `tests/tools/setup` installed.
pub fn tools() -> PathBuf {
    cache().join("bin")
}

/// A program on the path, else one of [`tools`].
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([tools()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The target directory of `make`, found through `T0RN_AGENT_BIN`.
///
/// # Errors
/// The variable is not set, or names no build.
pub fn target() -> Result<PathBuf> {
    let agent = env::var_os("T0RN_AGENT_BIN").context("T0RN_AGENT_BIN is not set: run the tests by make")?;
    let target = Path::new(&agent).ancestors().nth(3);
    Ok(target.context("T0RN_AGENT_BIN is no build")?.to_owned())
}

/// The Debian package that `make deb` built.
///
/// # Errors
/// It was not built.
pub fn package() -> Result<PathBuf> {
    let name = format!("debian/t0rn-agent_{}_amd64.deb", env!("CARGO_PKG_VERSION"));
    let package = target()?.join(name);
    ensure!(package.exists(), "{} is missing: make deb", package.display());
    Ok(fs::canonicalize(package)?)
}

/// Copies `packer/validate` with its parts into `folder`, such as one of a machine.
///
/// # Errors
/// The folder is missing.
pub fn copy_validate(folder: &Path) -> Result<()> {
    let packer = root().join("packer");
    let mut copy = Command::new("cp");
    copy.arg("--recursive")
        .args(["validate", "validate.d"].map(|name| packer.join(name)));
    let output = wait::run(20, copy.arg(folder))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The content of one of the agent's insta snapshots, found by the end of its name, in whichever crate it lies.
///
/// # Errors
/// There is no such snapshot.
pub fn agent_snapshot(name: &str) -> Result<String> {
    let name = format!("{name}.snap");
    let file = find(&root().join("agent"), &name)?.with_context(|| format!("no {name} below agent/"))?;
    let text = fs::read_to_string(file)?;
    let content = text.splitn(3, "---\n").nth(2).context("the snapshot has no content")?;
    Ok(content.to_owned())
}

/// The first file below `folder` whose name ends with `name`.
fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if let Some(file) = find(&path, name)? {
                return Ok(Some(file));
            }
        } else if path.to_string_lossy().ends_with(name) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
