//! moto, an emulated AWS, as a server on 127.0.0.1.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::http_client::get;
use crate::ports::Port;
use crate::repository::tools;
use crate::wait;

/// A running moto server; gone with the value.
#[derive(Debug)]
pub struct Moto {
    port: Port,
    child: Child,
    _dir: TempDir,
}

impl Moto {
    /// A server without anything in it; `None` where `tests/tools/setup aws` has not installed one.
    ///
    /// # Errors
    /// It does not answer within a minute: its log.
    pub fn start() -> Result<Option<Self>> {
        let program = tools().join("moto_server");
        if !program.exists() {
            return Ok(None);
        }
        let (dir, port) = (tempfile::tempdir()?, Port::free()?);
        let log = dir.path().join("log");
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.number().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("failed to start moto_server")?;
        let moto = Self { port, child, _dir: dir };
        let up = wait::until("moto", Duration::from_mins(1), || {
            let (status, _) = get(moto.port(), "/moto-api/data.json")?;
            ensure!(status == 200, "status {status}");
            Ok(())
        });
        up.with_context(|| fs::read_to_string(log).unwrap_or_default())?;
        Ok(Some(moto))
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The endpoint of every service.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
