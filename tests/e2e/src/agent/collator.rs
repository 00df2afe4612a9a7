//! What a test sees of the collator without asking the agent.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::Agent;
use crate::wait;

/// One run of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRun {
    pub id: String,
    /// Of its first process, on the host.
    pub pid: i32,
    pub started_at: String,
}

impl Agent<'_> {
    /// What Docker says about the collator's container; `None` when there is none.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn inspect(&self) -> Result<Option<Value>> {
        self.engine.inspect(&self.setup.container)
    }

    /// Id, process id and start of the running container: another value is another run.
    ///
    /// # Errors
    /// There is none, or it does not run.
    pub fn run_id(&self) -> Result<ContainerRun> {
        let inspect = self.inspect()?.context("no container")?;
        let state = &inspect["State"];
        ensure!(
            state["Running"] == true && state["Restarting"] != true,
            "it does not run: {state}"
        );
        Ok(ContainerRun {
            id: inspect["Id"].as_str().context("no id")?.to_owned(),
            pid: i32::try_from(state["Pid"].as_i64().context("no pid")?)?,
            started_at: state["StartedAt"].as_str().context("no start")?.to_owned(),
        })
    }

    /// Waits until the container is there, and neither runs nor is about to be started by Docker. Returns its exit code.
    ///
    /// # Errors
    /// `timeout` passed.
    pub fn wait_down(&self, timeout: Duration) -> Result<i64> {
        wait::until("the container to be down", timeout, || {
            let state = self.inspect()?.context("no container")?["State"].take();
            ensure!(state["Status"] == "exited", "{state}");
            state["ExitCode"].as_i64().context("no exit code")
        })
    }

    /// Waits until another run than `old` runs.
    ///
    /// # Errors
    /// `timeout` passed.
    pub fn wait_other_run(&self, old: &ContainerRun, timeout: Duration) -> Result<ContainerRun> {
        wait::until_value(
            "another run of the collator",
            timeout,
            || self.run_id(),
            |run| run != old,
        )
    }

    /// How often a simulated collator was started on this data, and that never two of them were at a time.
    ///
    /// # Errors
    /// Two were, or the collator was never started.
    pub fn starts(&self) -> Result<u64> {
        starts_on(&self.setup.data)
    }

    /// Checks for a while that the collator runs on untouched.
    ///
    /// # Errors
    /// It was restarted, or ended.
    pub fn stays(&self, run: &ContainerRun, time: Duration) -> Result<()> {
        wait::throughout("the collator was to be left alone", time, || {
            let now = self.run_id()?;
            ensure!(now == *run, "it was restarted: {now:?}");
            Ok(())
        })
    }

    /// Containers that have this agent's chain data, running or not.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn containers_on_data(&self) -> Result<Vec<String>> {
        let filter = format!("volume={}", self.data().display());
        let names = self
            .engine
            .docker(["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"])?;
        Ok(names.lines().map(str::to_owned).collect())
    }
}

/// As [`Agent::starts`], on any data.
///
/// # Errors
/// Two collators were on it at a time, or none ever.
pub fn starts_on(data: &Path) -> Result<u64> {
    let database = data.join("chains/t0rn_testnet/db/full");
    if let Ok(refused) = fs::read_to_string(database.join("000102.log")) {
        bail!("two collators on one data directory: {refused}");
    }
    let starts = fs::read_to_string(database.join("000101.log")).context("no collator was ever started")?;
    Ok(starts.trim().parse()?)
}
