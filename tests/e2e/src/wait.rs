//! Waiting for what happens elsewhere, always with an end.

use std::fmt::Debug;
use std::process::{Child, Command, ExitStatus, Output};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// For what the agent does at once, on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(40);
/// For what the agent does after a window or two.
pub const LATER: Duration = Duration::from_secs(90);
/// Longer than any window of the tests with everything that may stretch it once.
pub const LONG: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);

/// Looks until `look` finds something.
///
/// # Errors
/// `timeout` passed; tells the last reason that `look` gave.
pub fn until<T>(what: &str, timeout: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + timeout;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(e) if Instant::now() >= end => {
                return Err(e.context(format!("waited {timeout:?} for {what}")));
            }
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// As [`until`], for a value that has to satisfy a condition.
///
/// # Errors
/// `timeout` passed; tells the last value.
pub fn until_value<T: Debug>(
    what: &str,
    timeout: Duration,
    mut value: impl FnMut() -> Result<T>,
    mut good: impl FnMut(&T) -> bool,
) -> Result<T> {
    until(what, timeout, || {
        let value = value()?;
        if good(&value) {
            Ok(value)
        } else {
            bail!("last seen: {value:?}")
        }
    })
}

/// Checks again and again that something stays true.
///
/// # Errors
/// `check` failed within `time`.
pub fn throughout(what: &str, time: Duration, mut check: impl FnMut() -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < time {
        check().with_context(|| format!("{what}, after {:?}", begin.elapsed()))?;
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Waits for the end of a process.
///
/// # Errors
/// It still runs after `timeout`.
pub fn exit(child: &mut Child, timeout: Duration) -> Result<ExitStatus> {
    until("the end of a process", timeout, || {
        child.try_wait()?.context("it still runs")
    })
}

/// Runs a program to its end, at most `seconds`. A program that takes longer ends with code 124.
///
/// # Errors
/// It cannot be started.
pub fn run(seconds: u32, command: &mut Command) -> Result<Output> {
    let mut limited = Command::new("timeout");
    limited
        .args(["--kill-after=5", &seconds.to_string()])
        .arg(command.get_program())
        .args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(key, value),
            None => limited.env_remove(key),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        limited.current_dir(dir);
    }
    limited.output().with_context(|| format!("failed to run {limited:?}"))
}
