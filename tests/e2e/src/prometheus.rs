//! A real Prometheus server.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::http_client::get;
use crate::ports::Port;
use crate::repository::tool;
use crate::wait;

const SOON: Duration = Duration::from_mins(1);

/// Debian's Prometheus on 127.0.0.1, which scrapes some exporters every second.
#[derive(Debug)]
pub struct Prometheus {
    program: PathBuf,
    port: Port,
    dir: TempDir,
    child: Option<Child>,
}

impl Prometheus {
    /// The program; on the path, else where `tests/tools/setup prometheus` puts it.
    pub fn program() -> Option<PathBuf> {
        tool("prometheus")
    }

    /// A server that scrapes these ports of 127.0.0.1 under each of the jobs.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(program: PathBuf, jobs: &[&str], ports: &[u16]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let targets: Vec<_> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        let mut config = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n".to_owned();
        for job in jobs {
            config += "  - job_name: ";
            config += job;
            config += "\n    static_configs: [{targets: [";
            config += &targets.join(", ");
            config += "]}]\n";
        }
        fs::write(dir.path().join("prometheus.yml"), config)?;
        let mut server = Self {
            program,
            port: Port::free()?,
            dir,
            child: None,
        };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it on what it has stored.
    ///
    /// # Errors
    /// It runs already, or does not come up.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "the server runs already");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))?;
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let child = Command::new(&self.program)
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port.number()))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to start {}", self.program.display()))?;
        self.child = Some(child);
        let ready = wait::until("the Prometheus server", SOON, || {
            let (status, _) = get(self.port.number(), "/-/ready")?;
            ensure!(status == 200, "status {status}");
            Ok(())
        });
        ready.with_context(|| fs::read_to_string(self.dir.path().join("log")).unwrap_or_default())
    }

    /// Stops it and waits until it is gone.
    ///
    /// # Errors
    /// It does not run, or does not end.
    pub fn stop(&mut self) -> Result<()> {
        let child = self.child.as_mut().context("the server does not run")?;
        kill_process(Pid::from_child(child), Signal::TERM)?;
        wait::exit(child, SOON)?;
        self.child = None;
        Ok(())
    }

    /// The value of a query that gives one series; `None` where it gives none.
    ///
    /// # Errors
    /// It does not answer, or does not take the query.
    pub fn query(&self, query: &str) -> Result<Option<f64>> {
        use std::fmt::Write as _;
        let mut path = "/api/v1/query?query=".to_owned();
        for byte in query.bytes() {
            write!(path, "%{byte:02x}")?;
        }
        let (status, body) = get(self.port.number(), &path)?;
        ensure!(status == 200, "{query}: {status} {body}");
        let answer: serde_json::Value = serde_json::from_str(&body)?;
        let value = answer["data"]["result"][0]["value"][1].as_str();
        Ok(value.map(str::parse).transpose()?)
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
