//! Commands of the agent under test, and waiting for what its status says.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{Agent, binary};
use crate::wait;

/// Longest wait for a client command; the agent promises 10 s.
const CLIENT_SECONDS: u32 = 30;

impl Agent<'_> {
    /// Runs a client command against this agent's socket, without HOME or terminal.
    ///
    /// # Errors
    /// The binary is missing.
    pub fn cli<'s>(&self, args: impl IntoIterator<Item = &'s str>) -> Result<Output> {
        let mut command = Command::new(binary()?);
        command
            .args(args)
            .env_remove("HOME")
            .env_remove("TERM")
            .env("T0RN_AGENT_SOCKET", self.socket());
        command.env("T0RN_AGENT_CONFIG", self.config_file());
        wait::run(CLIENT_SECONDS, &mut command)
    }

    /// Starts a client command and does not wait for it.
    ///
    /// # Errors
    /// The binary is missing.
    pub fn spawn_cli<'s>(&self, args: impl IntoIterator<Item = &'s str>) -> Result<Child> {
        let mut command = Command::new(binary()?);
        command
            .args(args)
            .env("T0RN_AGENT_SOCKET", self.socket())
            .env("T0RN_AGENT_CONFIG", self.config_file());
        Ok(command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?)
    }

    /// Runs a client command that has to succeed. Returns what it prints.
    ///
    /// # Errors
    /// It ended with another code than 0.
    pub fn ok<'s>(&self, args: impl IntoIterator<Item = &'s str>) -> Result<String> {
        let args: Vec<_> = args.into_iter().collect();
        let output = self.cli(args.iter().copied())?;
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        ensure!(
            output.status.success(),
            "t0rn-agent {} failed with {}: {out}{err}",
            args.join(" "),
            output.status
        );
        Ok(out.into_owned())
    }

    /// `status --json`, with the exit code that belongs to it.
    ///
    /// # Errors
    /// The agent does not answer.
    pub fn status(&self) -> Result<Value> {
        let output = self.cli(["status", "--json"])?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.stdout.is_empty(),
            "no status: {} {}",
            output.status,
            error.trim()
        );
        let status: Value = serde_json::from_slice(&output.stdout).context("status is not JSON")?;
        let code = match status["health"].as_str() {
            Some("ok") => 0,
            Some("degraded") => 1,
            Some("critical") => 2,
            _ => 3,
        };
        ensure!(output.status.code() == Some(code), "{} of {status}", output.status);
        Ok(status)
    }

    /// Waits until the status is as wanted.
    ///
    /// # Errors
    /// `timeout` passed; tells the last status.
    pub fn wait_for(&self, what: &str, timeout: Duration, mut good: impl FnMut(&Value) -> bool) -> Result<Value> {
        wait::until(what, timeout, || {
            let status = self.status()?;
            if good(&status) {
                Ok(status)
            } else {
                bail!("last status: {status}")
            }
        })
    }

    /// Waits for a phase.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub fn wait_phase(&self, phase: &str, timeout: Duration) -> Result<Value> {
        self.wait_for(&format!("phase {phase}"), timeout, |status| status["phase"] == phase)
    }

    /// Waits until the agent sees the run that Docker tells of sync, or be synced.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub fn wait_watched(&self) -> Result<Value> {
        self.wait_for("a collator that is watched", Duration::from_secs(40), |status| {
            let seen = status["collator"]["started_at"].as_str().and_then(|at| at.get(..19));
            let this_run = self.run_id().is_ok_and(|run| run.started_at.get(..19) == seen);
            this_run && (status["phase"] == "syncing" || status["phase"] == "synced")
        })
    }

    /// Waits until the incident of a health restart for `cause` is closed. Returns the status.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    pub fn wait_cured(&self, cause: &str, timeout: Duration) -> Result<Value> {
        self.wait_for(&format!("a cure of {cause}"), timeout, |status| {
            status["last_incident"]["cause"] == cause && status["last_incident"]["helped"] == true
        })
    }
}
