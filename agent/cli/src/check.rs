//! `check`: everything that makes a collator fail, looked at before or while it runs.
//!
//! Each check says PASS, WARN, FAIL or SKIP, and where something is to be done, what. It changes nothing,
//! and a check that gets no answer in time is told as such: it is not passed.

mod container;
mod data;
mod host;
mod identity;
mod keystore;
mod ports;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use agent_config::Config;
use agent_core::event::named;
use agent_core::status::Health;
use agent_daemon::api::Client;
use agent_docker::Docker;

/// For all checks together; they run side by side. A command answers within 10 s.
const LIMIT: Duration = Duration::from_secs(8);

named! {
    /// What became of one check, from good to bad; not knowing is no pass.
    Grade {
        Skip = "skip",
        Pass = "pass",
        Warn = "warn",
        Fail = "fail",
    }
}

/// One check and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub result: Grade,
    /// What was found; where something is to be done, what.
    pub text: String,
}

impl Finding {
    fn new(check: &'static str, result: Grade, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { check, result, text }
    }

    fn pass(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Grade::Pass, text)
    }

    fn warn(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Grade::Warn, text)
    }

    fn fail(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Grade::Fail, text)
    }

    fn skip(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Grade::Skip, text)
    }
}

/// What all checks found.
#[derive(Debug, Serialize)]
pub struct Report {
    pub schema: u32,
    /// The worst of all results.
    pub result: Grade,
    pub checks: Vec<Finding>,
}

impl Report {
    fn of(checks: Vec<Finding>) -> Self {
        let result = checks.iter().map(|f| f.result).max().unwrap_or(Grade::Skip);
        Self {
            schema: 1,
            result,
            checks,
        }
    }

    /// 1 when something fails, else 0.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.result == Grade::Fail)
    }

    /// One line for each check, and one that sums up.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for Finding {
            check,
            result,
            text: found,
        } in &self.checks
        {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}  {check:<10}  {found}", result.name().to_uppercase());
        }
        let counts = Grade::ALL.iter().rev().map(|grade| {
            let count = self.checks.iter().filter(|f| f.result == *grade).count();
            format!("{count} {}", grade.name())
        });
        let _ = writeln!(
            text,
            "{} checks: {}",
            self.checks.len(),
            counts.collect::<Vec<_>>().join(", ")
        );
        text
    }
}

/// Looks at everything that `config` asks for. Ends within 8 s.
pub async fn run(config: &Config) -> Report {
    let end = Instant::now() + LIMIT;
    let (agent, docker, host, data) = tokio::join!(
        by(end, "agent", agent(config)),
        Box::pin(docker(end, config)),
        by(end, "host", host::look(config)),
        by(end, "data", data::look(config)),
    );
    Report::of([agent, docker, data, identity::look(config), host].concat())
}

async fn agent(config: &Config) -> Vec<Finding> {
    vec![match Client::new(&config.agent.socket).status(LIMIT).await {
        Ok(status) => {
            let text = format!("runs and says {}: {}", status.health.name(), status.summary);
            let fine = status.health == Health::Ok;
            Finding::new("agent", if fine { Grade::Pass } else { Grade::Warn }, text)
        }
        Err(error) => Finding::warn("agent", error.to_string()),
    }]
}

/// The engine and what only it can tell.
async fn docker(end: Instant, config: &Config) -> Vec<Finding> {
    let docker = match Docker::new(config) {
        Ok(docker) => docker,
        Err(error) => return vec![Finding::fail("docker", error.to_string())],
    };
    let api = match docker.version().await {
        Ok(api) => Finding::pass("docker", format!("answers, API {api}")),
        Err(error) => {
            let away = |check| Finding::skip(check, "docker does not answer");
            let skipped = ["image", "container", "ports", "exporters"].map(away);
            return [vec![Finding::fail("docker", error.to_string())], skipped.to_vec()].concat();
        }
    };
    let (image, container) = tokio::join!(
        by(end, "image", container::image(&docker, config)),
        by(end, "container", container::look(&docker, config)),
    );
    [vec![api], image, container].concat()
}

async fn by(end: Instant, check: &'static str, look: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    let found = tokio::time::timeout_at(end, look).await;
    found.unwrap_or_else(|_| {
        let text = "no answer in time: look for a disk, an engine or a network that hangs";
        vec![Finding::fail(check, text)]
    })
}
