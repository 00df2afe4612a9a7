//! What an agent under test is configured with.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use crate::engine::Engine;
use crate::ports::Port;

/// Everything short, so that a test takes seconds, and yet longer than a busy machine keeps a collator from its work; and
/// nothing of the host that a test does not make itself.
const WINDOWS: &str = r#"
[health]
scrape_interval = "500ms"
scrape_timeout = "500ms"
startup_grace = "10s"
stall_after = "4s"
isolated_after = "4s"
frozen_after = "8s"
activity_extension = 2

[restart]
backoff_initial = "200ms"
backoff_max = "5s"
start_timeout = "5s"

[host]
disk_warn_percent = 0
disk_floor = 0
clock_warn = "1h"

[ec2]
enabled = "false"
"#;

/// A configuration, and what it takes on the host.
#[derive(Debug)]
pub(crate) struct AgentConfig {
    pub(crate) config: Table,
    pub(crate) container: String,
    pub(crate) data: PathBuf,
    /// Host ports: both exporters, the collator's control, the agent's own exporter.
    pub(crate) ports: [Port; 4],
}

impl AgentConfig {
    /// For `image` with `command`, whose exporters are on ports 7001 and 9616, on the bridge network.
    pub(crate) fn new(engine: &Engine, name: &str, dir: &Path, image: &str, command: Vec<String>) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let ports = [Port::free()?, Port::free()?, Port::free()?, Port::free()?];
        let [parachain, relaychain, control, metrics] = ports.each_ref().map(Port::number);
        let mut setup = Self {
            config: WINDOWS.parse().context("the test's windows")?,
            container: format!("t0rn-test-{}-{number}-{name}", std::process::id()),
            data: dir.join("data"),
            ports,
        };
        let path = |path: &Path| path.display().to_string();
        setup.put("agent.state_dir", path(&dir.join("state")));
        setup.put("agent.socket", path(&dir.join("agent.sock")));
        setup.put("agent.docker", path(engine.socket()));
        setup.put("collator.image", image);
        setup.put("collator.container", setup.container.clone());
        setup.put("collator.command", command);
        setup.put("collator.stop_timeout", "10s");
        setup.put("collator.user", "1000:1000");
        // Given everywhere: more may be refused by the machine, which costs every start a second attempt.
        setup.put("collator.nofile", 1024);
        let published = [(parachain, 7001), (relaychain, 9616), (control, 7999)];
        setup.put(
            "collator.ports",
            published
                .map(|(host, inside)| format!("127.0.0.1:{host}:{inside}/tcp"))
                .to_vec(),
        );
        setup.put("data.path", path(&setup.data));
        setup.put("data.target", "/node/data");
        setup.put(
            "chains.parachain.metrics",
            format!("http://127.0.0.1:{parachain}/metrics"),
        );
        setup.put(
            "chains.relaychain.metrics",
            format!("http://127.0.0.1:{relaychain}/metrics"),
        );
        setup.put("metrics.listen", format!("127.0.0.1:{metrics}"));
        Ok(setup)
    }

    /// Sets a key (`table.key`), making the tables that lead to it.
    pub(crate) fn put(&mut self, key: &str, value: impl Into<Value>) {
        let (table, key) = self.table(key);
        table.insert(key.to_owned(), value.into());
    }

    /// Takes a key or a table out.
    pub(crate) fn remove(&mut self, key: &str) {
        let (table, key) = self.table(key);
        table.remove(key);
    }

    fn table<'k>(&mut self, key: &'k str) -> (&mut Table, &'k str) {
        let mut table = &mut self.config;
        let mut rest = key;
        while let Some((first, after)) = rest.split_once('.') {
            let entry = table.entry(first).or_insert_with(|| Table::new().into());
            if !entry.is_table() {
                *entry = Table::new().into();
            }
            let Value::Table(inner) = entry else {
                unreachable!("made one just now")
            };
            (table, rest) = (inner, after);
        }
        (table, rest)
    }
}
