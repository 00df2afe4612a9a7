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

const SILENT: &str = "no time service answers; see systemctl status chrony";

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

    /// Milliseconds between the system clock and true time, or why that is unknown.
    pub(super) async fn offset_ms(&self) -> Result<f64, &'static str> {
        let mut command = Command::new(&self.program);
        command
            .args(["-n", "-c", "tracking"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let asked = async { program::start(command).await?.wait_with_output().await };
        let Ok(answer) = tokio::time::timeout(TIMEOUT, asked).await else {
            return Err(SILENT);
        };
        let answer = answer.map_err(|_| "no time service can be asked; install chrony")?;
        parse(&String::from_utf8_lossy(&answer.stdout))
    }
}

pub(crate) fn parse(tracking: &str) -> Result<f64, &'static str> {
    let fields: Vec<&str> = tracking.lines().next().unwrap_or_default().split(',').collect();
    if fields.get(LEAP_STATUS).ok_or(SILENT)? == &"Not synchronised" {
        return Err("chrony is not synchronised; see chronyc sources");
    }
    let seconds = fields.get(OFFSET_SECONDS).and_then(|field| field.parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| seconds.is_finite()).ok_or(SILENT)?;
    Ok(seconds * 1000.0)
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
        assert_eq!(parse(TRACKING), Ok(-731.0));
    }

    #[test]
    fn unsynchronized_clock_is_unknown() {
        let unknown = parse(&TRACKING.replace("Normal", "Not synchronised"));
        assert_eq!(unknown, Err("chrony is not synchronised; see chronyc sources"));
        for garbage in [
            "",
            "506 Cannot talk to daemon\n",
            "a,b,c,d,NaN,f,g,h,i,j,k,l,m,Normal\n",
        ] {
            assert_eq!(parse(garbage), Err(SILENT), "{garbage}");
        }
    }

    #[tokio::test]
    async fn offset_comes_from_the_program_or_is_unknown_without_it() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("chronyc");
        let unknown = ChronyClock::with_program(&program).offset_ms().await;
        assert_eq!(unknown, Err("no time service can be asked; install chrony"));
        std::fs::write(&program, format!("#!/bin/sh\necho '{}'\n", TRACKING.trim())).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(ChronyClock::with_program(&program).offset_ms().await, Ok(-731.0));
    }
}
