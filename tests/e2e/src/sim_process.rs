//! The simulated collator as a process of this machine, without any engine.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::http_client::SimClient;
use crate::ports::Port;
use crate::sim_image;

/// A collator with data and ports of its own, which may be killed and started again on its data.
#[derive(Debug)]
pub struct SimProcess {
    dir: TempDir,
    /// Both exporters, and the control server.
    ports: [Port; 3],
    flags: Vec<String>,
    child: Option<Child>,
}

impl SimProcess {
    /// # Errors
    /// The binary cannot be built or started.
    pub fn start(flags: &[&str]) -> Result<Self> {
        let mut sim = Self {
            dir: tempfile::tempdir()?,
            ports: [Port::free()?, Port::free()?, Port::free()?],
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            child: None,
        };
        sim.start_again()?;
        Ok(sim)
    }

    /// # Errors
    /// It runs already, or cannot be started.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "the collator runs already");
        let [parachain, relaychain, control] = self.ports.each_ref().map(|port| port.number().to_string());
        let child = Command::new(sim_image::sim_binary()?)
            .args([
                "--collator",
                "--prometheus-port",
                &parachain,
                "--sim-control-port",
                &control,
            ])
            .arg("--base-path")
            .arg(self.dir.path())
            .args(&self.flags)
            .args(["--", "--prometheus-port", &relaychain])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("failed to start the simulated collator")?;
        self.child = Some(child);
        Ok(())
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the collator does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ports of the exporters: parachain, relay chain.
    pub fn exporters(&self) -> [u16; 2] {
        [self.ports[0].number(), self.ports[1].number()]
    }

    pub fn sim(&self) -> SimClient {
        SimClient::new(self.ports[2].number())
    }
}

impl Drop for SimProcess {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
