//! The clock's offset as estimated by chrony, the time service of Debian's images for EC2.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use agent_runtime::program;
use tokio::process::Command;

/// Limit of one query of chrony.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Fields of `chronyc -c tracking`, counted from 0.
const OFFSET_SECONDS: usize = 4;
const LEAP_STATUS: usize = 13;

#[derive(Debug)]
pub(super) struct ChronyClock {
    program: OsString,
}

impl Default for ChronyClock {
    fn default() -> Self {
        Self {
            program: "chronyc".into(),
        }
    }
}

impl ChronyClock {
    #[cfg(test)]
    pub(super) fn with_program(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
        }
    }

    /// Milliseconds between the system clock and true time; `None` without chrony, or while it is not synchronized.
    pub(super) async fn offset_ms(&self) -> Option<f64> {
        let mut command = Command::new(&self.program);
        command
            .args(["-n", "-c", "tracking"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let asked = async { program::start(command).await?.wait_with_output().await };
        let answer = tokio::time::timeout(TIMEOUT, asked).await.ok()?.ok()?;
        parse(std::str::from_utf8(&answer.stdout).ok()?)
    }
}

pub(crate) fn parse(tracking: &str) -> Option<f64> {
    let fields: Vec<&str> = tracking.lines().next()?.split(',').collect();
    if *fields.get(LEAP_STATUS)? == "Not synchronised" {
        return None;
    }
    let seconds: f64 = fields.get(OFFSET_SECONDS)?.parse().ok()?;
    seconds.is_finite().then_some(seconds * 1000.0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TRACKING: &str = "A9FEA97B,169.254.169.123,4,1795427000.112233445,-0.731000000,0.000001139,0.000008152,-17.126,\
                            0.000,0.021,0.000330000,0.000210000,16.2,Normal\n";

    #[test]
    fn offset_is_that_of_the_system_clock() {
        assert_eq!(parse(TRACKING), Some(-731.0));
    }

    #[test]
    fn unsynchronized_clock_is_unknown() {
        assert_eq!(parse(&TRACKING.replace("Normal", "Not synchronised")), None);
        for garbage in [
            "",
            "506 Cannot talk to daemon\n",
            "a,b,c,d,NaN,f,g,h,i,j,k,l,m,Normal\n",
        ] {
            assert_eq!(parse(garbage), None, "{garbage}");
        }
    }

    #[tokio::test]
    async fn offset_comes_from_the_program_or_is_unknown_without_it() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("chronyc");
        assert_eq!(ChronyClock::with_program(&program).offset_ms().await, None);
        std::fs::write(&program, format!("#!/bin/sh\necho '{}'\n", TRACKING.trim())).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(ChronyClock::with_program(&program).offset_ms().await, Some(-731.0));
    }
}
