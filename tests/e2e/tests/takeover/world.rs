//! An operator's collator that Docker runs, and an agent configured for the same data.

use std::fs;
use std::os::unix::fs::chown;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, SYNCING, binary};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::{SOON, until, until_value};

pub(crate) const KEPT: &str = "-before-t0rn-agent";

/// Both, on one data directory; all containers go with the value.
pub(crate) struct World<'a> {
    pub(crate) agent: Agent<'a>,
    pub(crate) name: String,
}

impl<'a> World<'a> {
    /// A predecessor with flags for `docker run` that runs and makes progress; the agent does not run yet.
    pub(crate) fn new(engine: &'a Engine, name: &str, flags: &[&str]) -> Result<Self> {
        let agent = Agent::new(engine, name, &SYNCING)?;
        let name = format!("{}-theirs", agent.container());
        Self::with_name(agent, name, flags)
    }

    /// As [`Self::new`], with the name that the agent's container is to have.
    pub(crate) fn with_one_name(engine: &'a Engine, name: &str, flags: &[&str]) -> Result<Self> {
        let agent = Agent::new(engine, name, &SYNCING)?;
        let name = agent.container().to_owned();
        Self::with_name(agent, name, flags)
    }

    fn with_name(agent: Agent<'a>, name: String, flags: &[&str]) -> Result<Self> {
        fs::create_dir(agent.data())?;
        chown(agent.data(), Some(1000), Some(1000))?;
        let world = Self { agent, name };
        world.run(&world.name, flags)?;
        until_value("some blocks", SOON, || world.agent.sim().best(), |best| *best > 20)?;
        Ok(world)
    }

    /// Runs a container with the agent's own image, command, ports and data.
    pub(crate) fn run(&self, name: &str, flags: &[&str]) -> Result<()> {
        let config = self.config()?;
        let volume = format!("{}:/node/data", self.agent.data().display());
        let words = |key: &str| -> Result<Vec<String>> {
            let list = config["collator"][key].as_array().context("no list")?;
            Ok(list
                .iter()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect())
        };
        let ports: Vec<_> = words("ports")?
            .into_iter()
            .flat_map(|port| ["-p".to_owned(), port])
            .collect();
        let image = config["collator"]["image"].as_str().context("no image")?;
        let command = words("command")?;
        let mut args = vec!["run", "-d", "--name", name, "-v", &volume];
        args.extend(ports.iter().map(String::as_str));
        args.extend_from_slice(flags);
        args.push(image);
        args.extend(command.iter().map(String::as_str));
        self.agent.engine().docker(args)?;
        Ok(())
    }

    pub(crate) fn config(&self) -> Result<toml::Table> {
        Ok(fs::read_to_string(self.agent.config_file())?.parse()?)
    }

    pub(crate) fn kept(&self) -> String {
        format!("{}{KEPT}", self.name)
    }

    /// `takeover` with further arguments.
    pub(crate) fn takeover(&self, more: &[&str]) -> Result<Output> {
        self.agent
            .cli(["takeover", &self.name].into_iter().chain(more.iter().copied()))
    }

    /// Starts `takeover` with further arguments; its output is a pipe.
    pub(crate) fn spawn(&self, more: &[&str]) -> Result<Child> {
        let mut command = Command::new(binary()?);
        command.args(["takeover", &self.name, "--yes"]).args(more);
        command
            .env("T0RN_AGENT_CONFIG", self.agent.config_file())
            .env("T0RN_AGENT_SOCKET", self.agent.socket());
        Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
    }

    /// `takeover` that has to succeed. Returns what it prints.
    pub(crate) fn succeeds(&self, more: &[&str]) -> Result<String> {
        self.agent.ok(["takeover", &self.name, "--yes"]
            .into_iter()
            .chain(more.iter().copied()))
    }

    pub(crate) fn inspect(&self, name: &str) -> Result<Value> {
        self.agent
            .engine()
            .inspect(name)?
            .with_context(|| format!("no container {name}"))
    }

    /// Whether a container is there and runs.
    pub(crate) fn runs(&self, name: &str) -> Result<bool> {
        let found = self.agent.engine().inspect(name)?;
        Ok(found.is_some_and(|found| found["State"]["Running"] == true))
    }

    /// The names of the containers that run on the data, at one moment.
    pub(crate) fn running(&self) -> Result<Vec<String>> {
        let filter = format!("volume={}", self.agent.data().display());
        let engine = self.agent.engine();
        let names = engine.docker([
            "ps",
            "--filter",
            &filter,
            "--filter",
            "status=running",
            "--format",
            "{{.Names}}",
        ])?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Fails unless the agent's collator runs, once on its data, and the predecessor is kept and down for good.
    pub(crate) fn ensure_taken_over(&self) -> Result<()> {
        self.ensure_exchanged()?;
        self.agent.starts()?;
        Ok(())
    }

    /// As [`Self::ensure_taken_over`], wherever the data is.
    pub(crate) fn ensure_exchanged(&self) -> Result<()> {
        let kept = self.inspect(&self.kept())?;
        ensure!(kept["State"]["Running"] == false, "{}", kept["State"]);
        ensure!(
            kept["HostConfig"]["RestartPolicy"]["Name"] == "no",
            "{}",
            kept["HostConfig"]
        );
        ensure!(self.agent.run_id().is_ok(), "the agent's collator does not run");
        let labels = self.agent.inspect()?.context("no container")?["Config"]["Labels"].take();
        ensure!(labels["t0rn-agent.managed"] == "true", "{labels}");
        Ok(())
    }

    /// Fails unless the predecessor runs under its own name and that policy, and nothing else on the data.
    pub(crate) fn ensure_given_back(&self, policy: &str) -> Result<()> {
        let found = self.inspect(&self.name)?;
        ensure!(found["State"]["Running"] == true, "{}", found["State"]);
        ensure!(
            found["HostConfig"]["RestartPolicy"]["Name"] == policy,
            "{}",
            found["HostConfig"]
        );
        ensure!(
            found["Config"]["Labels"]["t0rn-agent.managed"].is_null(),
            "{}",
            found["Config"]
        );
        ensure!(self.running()? == [self.name.as_str()], "{:?}", self.running()?);
        ensure!(self.agent.engine().inspect(&self.kept())?.is_none(), "both are there");
        self.agent.starts()?;
        // A takeover of one whose exporters do not answer yet would be refused.
        until("the exporters to answer", SOON, || self.agent.sim().best())?;
        Ok(())
    }

    /// Waits until one of the two runs.
    pub(crate) fn wait_one_runs(&self, timeout: Duration) -> Result<String> {
        until("a collator that runs", timeout, || {
            let running = self.running()?;
            ensure!(running.len() <= 1, "two run: {running:?}");
            running.into_iter().next().context("none runs")
        })
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        for name in [self.name.clone(), self.kept()] {
            let _ = self.agent.engine().try_docker(["rm", "-fv", &name]);
        }
    }
}
