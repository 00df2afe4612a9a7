//! What comes out of the agent, by name, and what of the planted is found in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::http_client::get;
use t0rn_agent_tests::wait;

use crate::plants;

/// Outputs by name.
#[derive(Debug, Default)]
pub(crate) struct Outputs(Vec<(String, String)>);

impl Outputs {
    pub(crate) fn add(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.0.push((name.into(), text.into()));
    }

    pub(crate) fn command(&mut self, name: &str, output: &Output) {
        let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        self.add(name, String::from_utf8_lossy(&text));
    }

    /// Every file below a directory, unpacked.
    pub(crate) fn files(&mut self, dir: &Path) -> Result<()> {
        for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            let name = path.display().to_string();
            if path.is_dir() {
                self.files(&path)?;
            } else if path.extension().is_some_and(|end| end == "gz") {
                let output = wait::run(30, Command::new("gzip").arg("-dc").arg(&path))?;
                ensure!(output.status.success(), "{name}: {output:?}");
                self.command(&name, &output);
            } else if path.is_file() {
                self.add(name, String::from_utf8_lossy(&fs::read(&path)?));
            }
        }
        Ok(())
    }

    /// Every client command that only tells something.
    pub(crate) fn commands(&mut self, agent: &Agent) -> Result<()> {
        let flight = agent.state_dir().join("flight").display().to_string();
        let commands: [&[&str]; 15] = [
            &["status"],
            &["status", "--json"],
            &["incidents"],
            &["incidents", "--json"],
            &["incidents", "list", "--json"],
            &["logs", "-n", "1000"],
            &["check"],
            &["check", "--json"],
            &["config", "check"],
            &["notify", "test"],
            &["bake", "verify", &agent.data().display().to_string()],
            &["identity", "status"],
            &["replay", &flight],
            &["replay", &flight, "--json"],
            &["report", "--output", "-"],
        ];
        for command in commands {
            self.command(&command.join(" "), &agent.cli(command.iter().copied())?);
        }
        for entry in fs::read_dir(agent.state_dir().join("incidents"))? {
            let id = entry?.file_name().to_string_lossy().into_owned();
            for more in [None, Some("--json")] {
                let command = ["incidents", "show", &id].into_iter().chain(more);
                self.command(&format!("incidents show {id} {more:?}"), &agent.cli(command)?);
            }
            self.command(&format!("report {id}"), &agent.cli(["report", &id, "--output", "-"])?);
            let (status, body) = get(agent.metrics_port(), &format!("/incidents/{id}"))?;
            ensure!(status == 200, "{id}: {status} {body}");
            self.add(format!("/incidents/{id}"), body);
        }
        self.watch(agent)
    }

    /// `status --watch` and `logs --follow`, for a moment.
    fn watch(&mut self, agent: &Agent) -> Result<()> {
        for args in [&["status", "--watch"][..], &["logs", "--follow"]] {
            let output = Command::new("timeout")
                .arg("3")
                .arg(t0rn_agent_tests::agent::binary()?)
                .args(args)
                .env("T0RN_AGENT_SOCKET", agent.socket())
                .env("T0RN_AGENT_CONFIG", agent.config_file())
                .stdin(Stdio::null())
                .output()?;
            ensure!(!output.stdout.is_empty(), "{args:?} says nothing: {output:?}");
            self.command(&args.join(" "), &output);
        }
        Ok(())
    }

    /// Everything behind the agent's port and its socket.
    pub(crate) fn servers(&mut self, agent: &Agent) -> Result<()> {
        for path in [
            "/",
            "/metrics",
            "/healthz",
            "/readyz",
            "/history",
            "/history?range=week",
            "/incidents",
            "/nothing",
            "/metrics?key=x",
        ] {
            let (status, body) = get(agent.metrics_port(), path)?;
            self.add(format!("{path} ({status})"), body);
        }
        // It does not end by itself.
        let url = format!("http://127.0.0.1:{}/events", agent.metrics_port());
        let events = Command::new("timeout").args(["3", "curl", "-sN", &url]).output()?;
        ensure!(!events.stdout.is_empty(), "no events: {events:?}");
        self.command("/events", &events);
        for path in ["/v1/status", "/v1/logs?lines=1000", "/v1/nothing"] {
            let mut curl = Command::new("curl");
            curl.args(["-s", "--max-time", "5", "--unix-socket"])
                .arg(agent.socket());
            self.command(path, &curl.arg(format!("http://agent{path}")).output()?);
        }
        Ok(())
    }

    /// Nothing planted is in any of them, in any form; and each has something in it, and these words are somewhere.
    pub(crate) fn judge(&self, shown: &[&str]) -> Result<()> {
        let planted = plants::all();
        ensure!(
            planted.iter().collect::<BTreeSet<_>>().len() >= 40,
            "only {}",
            planted.len()
        );
        let mut found = Vec::new();
        for secret in &planted {
            for form in plants::forms(secret) {
                for (name, text) in &self.0 {
                    if let Some(at) = text.find(&form) {
                        let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
                        let line = text[line..].lines().next().unwrap_or_default();
                        found.push(format!("{secret} as {form} in {name}: {line:.300}"));
                    }
                }
            }
        }
        ensure!(found.is_empty(), "{} found:\n{}", found.len(), found.join("\n"));
        for word in shown {
            ensure!(
                self.0.iter().any(|(_, text)| text.contains(word)),
                "{word} is no secret, and nowhere"
            );
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
