//! HTTP client of the tests, and the client of the simulated collator's control port.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

use crate::sim::control::Command;
use crate::wait;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest body, bytes.
const LONGEST: u64 = 256 << 20;

/// A running simulated collator, through its control port on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub struct SimClient {
    port: u16,
}

impl SimClient {
    pub fn new(port: u16) -> Self {
        Self { port }
    }

    /// Gives a command, once the control server is up.
    ///
    /// # Errors
    /// It cannot be reached for ten seconds, or refuses the command.
    pub fn control(&self, command: &Command) -> Result<()> {
        let body = serde_json::to_string(command)?;
        let (status, answer) = wait::until("the simulated collator", Duration::from_secs(10), || {
            request(self.port, "POST", "/control", &body)
        })?;
        ensure!(status == 200, "control {body}: {status} {answer}");
        Ok(())
    }

    /// What it is doing.
    ///
    /// # Errors
    /// It does not answer.
    pub fn state(&self) -> Result<Value> {
        let (_, body) = request(self.port, "GET", "/state", "")?;
        serde_json::from_str(&body).with_context(|| format!("not a state: {body}"))
    }

    /// Best block of the parachain.
    ///
    /// # Errors
    /// It does not answer.
    pub fn best(&self) -> Result<u64> {
        self.state()?["parachain"]["best"]
            .as_u64()
            .context("no best block in the state")
    }
}

/// The page or document at `http://127.0.0.1:port/path`, with its status.
///
/// # Errors
/// Nothing listens, no answer within five seconds, or none that is complete.
pub fn get(port: u16, path: &str) -> Result<(u16, String)> {
    request(port, "GET", path, "")
}

/// As [`get`], with another method and a body.
///
/// # Errors
/// As [`get`].
pub fn request(port: u16, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let config = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .build();
    let request = Request::builder()
        .method(method)
        .uri(format!("http://127.0.0.1:{port}{path}"));
    let mut answer = Agent::new_with_config(config).run(request.body(body)?)?;
    let text = answer
        .body_mut()
        .with_config()
        .limit(LONGEST)
        .lossy_utf8(true)
        .read_to_string();
    let text = text.with_context(|| format!("the answer from port {port} is not complete"))?;
    Ok((answer.status().as_u16(), text))
}
