//! A small HTTP client, and what it asks the simulated collator.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::sim::control::Command;
use crate::wait;

const TIMEOUT: Duration = Duration::from_secs(5);

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
/// Nobody listens, no answer within five seconds, or none that is complete.
pub fn get(port: u16, path: &str) -> Result<(u16, String)> {
    request(port, "GET", path, "")
}

fn request(port: u16, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;

    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        if let Some(answer) = complete(&bytes)? {
            return Ok(answer);
        }
        let n = stream
            .read(&mut chunk)
            .with_context(|| format!("no answer from port {port}"))?;
        ensure!(n > 0, "port {port} closed the connection after {} bytes", bytes.len());
        bytes.extend_from_slice(&chunk[..n]);
    }
}

/// The answer, once its announced length has arrived.
fn complete(bytes: &[u8]) -> Result<Option<(u16, String)>> {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Ok(None);
    };
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|s| s.parse().ok())
        .context("not HTTP")?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    Ok((body.len() >= length).then(|| (status, body.to_owned())))
}
