//! The agent as a container image: built without an engine, the same each time, and at work through a mounted socket.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::agent::{Agent, SYNCING, binary};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::repository::root;
use t0rn_agent_tests::wait::{self, SOON};

const IMAGE: &str = concat!("t0rn-agent:", env!("CARGO_PKG_VERSION"));

/// What docs/container.md says about the rights of the container.
const CONFINED: [&str; 6] = [
    "--read-only",
    "--cap-drop=ALL",
    "--cap-add=DAC_READ_SEARCH",
    "--security-opt=no-new-privileges",
    "--network=host",
    "--pid=host",
];

/// The image's archive, in `folder`.
fn build(folder: &Path, umask: &str) -> Result<PathBuf> {
    fs::create_dir(folder)?;
    let mut build = Command::new("sh");
    build.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]);
    build.arg(root().join("dist/oci/build")).arg(binary()?).arg(folder);
    let output = wait::run(120, &mut build)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = fs::read_dir(folder)?.next().context("no archive")??;
    Ok(file.path())
}

#[test]
fn image_is_the_same_bytes_when_it_is_built_again() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let first = build(&dir.path().join("first"), "022")?;
    let second = build(&dir.path().join("second"), "077")?;
    ensure!(first.file_name() == second.file_name(), "{first:?} {second:?}");
    ensure!(fs::read(first)? == fs::read(second)?, "the bytes differ");
    Ok(())
}

/// A container of the agent; gone with the value.
struct AgentContainer<'a> {
    engine: &'a Engine,
    name: String,
}

impl AgentContainer<'_> {
    fn log(&self) -> String {
        let output = self.engine.try_docker(["logs", &self.name]);
        output.map_or_else(|e| e.to_string(), |o| String::from_utf8_lossy(&o.stdout).into_owned())
    }
}

impl Drop for AgentContainer<'_> {
    #[expect(clippy::print_stderr, reason = "the reader of a failed test needs it")]
    fn drop(&mut self) {
        eprintln!("--- log of {}\n{}", self.name, self.log());
        let _ = self.engine.try_docker(["rm", "-f", &self.name]);
    }
}

#[test]
fn image_supervises_a_collator_through_the_mounted_socket() -> Result<()> {
    let engine = Engine::shared()?;
    let dir = tempfile::tempdir()?;
    let archive = build(&dir.path().join("image"), "022")?;
    engine.docker(["load", "--quiet", "--input", &archive.display().to_string()])?;
    let version = engine.docker(["run", "--rm", "--network=none", IMAGE, "--version"])?;
    ensure!(
        version == concat!("t0rn-agent ", env!("CARGO_PKG_VERSION")),
        "{version}"
    );

    let agent = Agent::new(&engine, "boxed", &SYNCING)?;
    let files = agent.config_file().parent().context("no folder")?.display().to_string();
    let files = format!("{files}:{files}");
    let socket = format!("{0}:{0}", engine.socket().display());
    let config = format!("T0RN_AGENT_CONFIG={}", agent.config_file().display());
    let given = ["-v", files.as_str(), "-v", &socket, "-e", &config];
    engine.docker(["run", "--rm"].into_iter().chain(given).chain([IMAGE, "prepare"]))?;
    let container = AgentContainer {
        engine: &engine,
        name: format!("{}-agent", agent.container()),
    };
    let run = ["run", "-d", "--name", container.name.as_str()].into_iter();
    engine.docker(run.chain(CONFINED).chain(given).chain([IMAGE]))?;
    agent.wait_watched()?;
    let before = agent.run_id()?;

    // Docker's own policy does not undo that.
    engine.docker(["kill", agent.container()])?;
    agent.wait_other_run(&before, SOON)?;
    agent.wait_watched()?;
    let before = agent.run_id()?;

    engine.docker(["restart", &container.name])?;
    agent.wait_watched()?;
    ensure!(agent.run_id()? == before, "the next agent did not adopt the container");
    Ok(())
}
