//! A simulated collator run by Docker alone, without an agent.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::engine::Engine;
use crate::http_client::SimClient;
use crate::ports::Port;
use crate::{sim_image, wait};

/// A container with its data in a temporary folder; both go with the value.
#[derive(Debug)]
pub struct SimContainer<'a> {
    engine: &'a Engine,
    name: String,
    dir: TempDir,
    /// Host ports: both exporters, control.
    ports: [Port; 3],
}

impl<'a> SimContainer<'a> {
    /// Runs one with further flags for `docker run` and for the collator.
    ///
    /// # Errors
    /// Docker refused.
    pub fn run(engine: &'a Engine, docker: &[&str], sim: &[&str]) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t0rn-sim-{}-{number}", std::process::id());
        let dir = tempfile::tempdir()?;
        let data = dir.path().join("data");
        fs::create_dir(&data)?;
        chown(&data, Some(1000), Some(1000))?;
        let container = Self {
            engine,
            name,
            dir,
            ports: [Port::free()?, Port::free()?, Port::free()?],
        };
        container.run_again(&container.name, docker, sim)?;
        Ok(container)
    }

    /// Runs a further container on the same data. It has to be removed by the caller.
    ///
    /// # Errors
    /// Docker refused.
    pub fn run_again(&self, name: &str, docker: &[&str], sim: &[&str]) -> Result<()> {
        let image = sim_image::sim(self.engine)?;
        let volume = format!("{}:/node/data", self.data().display());
        let mut args = vec!["run", "-d", "--name", name, "-v", &volume];
        let [parachain, relaychain, control] = self.ports.each_ref().map(Port::number);
        let publish = [(parachain, 7001), (relaychain, 9616), (control, 7999)]
            .map(|(host, inside)| format!("127.0.0.1:{host}:{inside}"));
        if name == self.name {
            args.extend(publish.iter().flat_map(|p| ["-p", p]));
        }
        args.extend_from_slice(docker);
        args.extend([image.as_str(), "--collator", "--base-path", "/node/data"]);
        args.extend_from_slice(sim);
        self.engine.docker(args)?;
        Ok(())
    }

    /// `State` as Docker tells it.
    ///
    /// # Errors
    /// The container is gone.
    pub fn state(&self) -> Result<Value> {
        Ok(self.engine.inspect(&self.name)?.context("the container is gone")?["State"].take())
    }

    /// Waits until it ends by itself. Returns `State`.
    ///
    /// # Errors
    /// It still runs after `timeout`.
    pub fn wait_exit(&self, timeout: Duration) -> Result<Value> {
        wait::until_value(
            "the end of the container",
            timeout,
            || self.state(),
            |s| s["Status"] == "exited",
        )
    }

    /// Everything it logged.
    ///
    /// # Errors
    /// The container is gone.
    pub fn logs(&self) -> Result<String> {
        let output = self.engine.try_docker(["logs", &self.name])?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn sim(&self) -> SimClient {
        SimClient::new(self.ports[2].number())
    }

    /// Host ports of the exporters: parachain, relay chain.
    pub fn exporters(&self) -> [u16; 2] {
        [self.ports[0].number(), self.ports[1].number()]
    }

    /// The chain data on the host.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A file of the data.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, file: &str) -> Result<String> {
        let path: &Path = &self.data().join(file);
        fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
    }
}

impl Drop for SimContainer<'_> {
    fn drop(&mut self) {
        let _ = self.engine.try_docker(["rm", "-fv", &self.name]);
    }
}
