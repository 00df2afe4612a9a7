//! Namespaces for one test: its mounts and its attackers end with it.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::skip;

/// Set where a test runs in its own namespaces.
const INSIDE: &str = "T0RN_HOSTILE_INSIDE";
const UNSHARE: [&str; 7] = [
    "--mount",
    "--propagation",
    "private",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];

/// Runs the rest of a test in namespaces of its own, as root. Elsewhere it is skipped.
macro_rules! own_namespaces {
    () => {
        if !$crate::namespace::is_inside() {
            return $crate::namespace::run_inside();
        }
    };
}
pub(crate) use own_namespaces;

pub(crate) fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Runs this test again, in its own namespaces.
pub(crate) fn run_inside() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        skip!("only root can be led by the owner of the data");
    }
    let possible = Command::new("unshare").args(UNSHARE).arg("true").output()?;
    if !possible.status.success() {
        let why = String::from_utf8_lossy(&possible.stderr).trim().to_owned();
        skip!(format!("no namespaces: {why}"));
    }
    let thread = std::thread::current();
    let name = env::var("NEXTEST_TEST_NAME").ok();
    let name = name.as_deref().or(thread.name()).context("a test without a name")?;
    let status = Command::new("unshare")
        .args(UNSHARE)
        .arg(env::current_exe()?)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .status()?;
    ensure!(status.success(), "it failed in its namespaces: {status}");
    Ok(())
}
