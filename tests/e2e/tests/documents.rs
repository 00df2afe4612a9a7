//! The pages for operators: whoever follows them word by word gets what they say.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, binary};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::operator_docs::{blocks, commands, is_about_the_host, page};
use t0rn_agent_tests::prometheus::Prometheus;
use t0rn_agent_tests::repository::agent_snapshot;
use t0rn_agent_tests::webhook::{Answer, WebhookReceiver};
use t0rn_agent_tests::{sim_image, skip, wait};
use tempfile::TempDir;
use toml::Table;

/// Runs the command that it is given for an instance, here.
const AWS: &str = r#"#!/bin/sh
for word; do case $word in commands=*) exec sh -c "${word#commands=}" ;; esac; done
exit 252
"#;

/// An agent, and an operator of it who has the pages before them.
struct DocsReader<'a> {
    agent: Agent<'a>,
    /// Ports of both exporters.
    exporters: [u16; 2],
    /// What stands in the pages, and what it is here.
    words: Vec<(&'static str, String)>,
    /// Programs of an operator's that are none of this machine's.
    tools: TempDir,
}

impl<'a> DocsReader<'a> {
    /// Takes over what `example` configures, with the image, ports and paths of this test. Nothing runs yet.
    fn new(engine: &'a Engine, example: &str, hook: &WebhookReceiver) -> Result<Self> {
        let image = sim_image::sim(engine)?;
        let agent = Agent::with_image(engine, "pages", &image, Vec::new())?;
        let mut config: Table = fs::read_to_string(agent.config_file())?.parse()?;
        let port = |at: usize| -> Result<u16> {
            let published = config["collator"]["ports"][at].as_str().context("no port")?;
            Ok(published.split(':').nth(1).context("no port")?.parse()?)
        };
        let (exporters, peers) = ([port(0)?, port(1)?], port(2)?);
        let host = agent.config_file().with_file_name("srv");
        let words = vec![
            ("example/collator:v1.0.0", image),
            ("example-collator", agent.container().to_owned()),
            ("/srv/collator", host.display().to_string()),
            ("127.0.0.1:9615", format!("127.0.0.1:{}", exporters[0])),
            ("127.0.0.1:9616", format!("127.0.0.1:{}", exporters[1])),
            ("\"30333:", format!("\"127.0.0.1:{peers}:")),
            (", \"30334:30334/tcp\"", String::new()),
            ("/etc/t0rn-agent/agent.toml", agent.config_file().display().to_string()),
        ];
        let tools = tempfile::tempdir()?;
        fs::write(tools.path().join("aws"), AWS)?;
        fs::set_permissions(tools.path().join("aws"), Permissions::from_mode(0o755))?;
        let reader = Self {
            agent,
            exporters,
            words,
            tools,
        };
        config.extend(reader.here(example).parse::<Table>()?);
        let notify = Table::from_iter([("webhook".to_owned(), hook.url().into())]);
        config.insert("notify".to_owned(), notify.into());
        fs::write(reader.agent.config_file(), config.to_string())?;
        Ok(reader)
    }

    fn here(&self, text: &str) -> String {
        let replace = |text: String, (there, here): &(_, String)| text.replace(*there, here);
        self.words.iter().fold(text.to_owned(), replace)
    }

    /// Types a line of a page. It has to do what it is there for; whether the collator is well is another question.
    fn follow(&self, line: &str) -> Result<()> {
        if line.contains("| jq ") && !wait::run(10, Command::new("jq").arg("--version"))?.status.success() {
            skip::record(&format!("{line}: jq is missing: tests/tools/setup jq"));
            return Ok(());
        }
        let typed = self.here(line);
        // What goes on until Ctrl-C ends when nobody reads it any more.
        let endless = [" --watch", " -f"].iter().any(|flag| line.ends_with(flag));
        let typed = if endless { format!("{typed} | head -n 1") } else { typed };
        let output = wait::run(60, &mut self.shell(&typed)?)?;
        let judges = ["t0rn-agent status", "t0rn-agent check", "aws "]
            .iter()
            .any(|start| line.starts_with(start));
        let code = output.status.code().context("killed")?;
        ensure!(code == 0 || judges && (1..=2).contains(&code), "{line}: {output:?}");
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(!complaint.contains("error"), "{line}: {complaint}");
        ensure!(!judges || !output.stdout.is_empty(), "{line} says nothing");
        Ok(())
    }

    fn shell(&self, line: &str) -> Result<Command> {
        let binary = binary()?;
        let folders = [binary.parent().context("no folder")?, self.tools.path()];
        let usual = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(folders.iter().map(Into::into).chain(env::split_paths(&usual)))?;
        let mut shell = Command::new("bash");
        shell
            .args(["-o", "pipefail", "-c", line])
            .env("PATH", path)
            .env(
                "DOCKER_HOST",
                format!("unix://{}", self.agent.engine().socket().display()),
            )
            .env("T0RN_AGENT_SOCKET", self.agent.socket())
            .env("T0RN_AGENT_CONFIG", self.agent.config_file());
        Ok(shell)
    }
}

#[test]
fn whoever_follows_the_pages_word_by_word_runs_a_chain_of_their_own() -> Result<()> {
    let engine = Engine::shared()?;
    let hook = WebhookReceiver::start(Answer::Take)?;
    let text = page("your-own-chain.md")?;
    let example = blocks(&text, "toml").into_iter().next().context("no example")?;
    let mut reader = DocsReader::new(&engine, example, &hook)?;

    let mut lines = Vec::new();
    for name in ["your-own-chain.md", "status.md", "troubleshooting.md"] {
        lines.extend(commands(name)?.into_iter().filter(|line| !is_about_the_host(line)));
    }
    let (history, lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.contains(":9090"));
    let first = lines.iter().position(|line| line.starts_with("t0rn-agent status"));
    let (before, after) = lines.split_at(first.context("nobody asks for the status")?);
    for line in before {
        reader.follow(line)?;
    }
    reader.agent.start()?;
    reader.agent.wait_watched()?;
    let start = |program| Prometheus::start(program, &["node"], &reader.exporters);
    let prometheus = Prometheus::program().map(start).transpose()?;
    engine.docker(["kill", reader.agent.container()])?;
    let incident = |s: &Value| s["last_incident"]["id"].is_string();
    let status = reader.agent.wait_for("an incident", wait::LATER, incident)?;
    let id = status["last_incident"]["id"].as_str().context("no id")?;
    reader.words.push(("20261122T225000Z-stalled", id.to_owned()));
    reader.agent.wait_watched()?;
    for line in after {
        reader.follow(line)?;
    }
    ensure!(hook.wait_first(wait::SOON)?.is_object(), "no message arrived");

    let Some(prometheus) = prometheus else {
        skip!("the lines about Prometheus: tests/tools/setup prometheus");
    };
    reader.words.push(("http://127.0.0.1:9090", prometheus.url()));
    for line in history {
        wait::until("a history", wait::LATER, || reader.follow(&line))?;
    }
    Ok(())
}

/// Every path to a value in `value`; chains go by `*`.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    let Some(fields) = value.as_object() else {
        found.insert(path.to_owned());
        return;
    };
    for (name, value) in fields {
        let name = if path == "chains" { "*" } else { name };
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        paths(value, &path, found);
    }
}

#[test]
fn the_page_about_the_status_has_every_field_and_no_other() -> Result<()> {
    let json = agent_snapshot("json_has_every_field_of_the_contract")?;
    let mut fields = BTreeSet::from(["shortened".to_owned()]);
    paths(&serde_json::from_str(&json)?, "", &mut fields);

    let text = page("status.md")?;
    let table = text.split("| field |").nth(1).context("no table")?;
    let table = table.split("\n\n").next().unwrap_or_default();
    let cells = table.lines().skip(2).filter_map(|row| row.split('|').nth(1));
    let names = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned);
    let told: BTreeSet<_> = names.collect();
    ensure!(
        told == fields,
        "missing: {:?}; too many: {:?}",
        &fields - &told,
        &told - &fields
    );
    Ok(())
}
