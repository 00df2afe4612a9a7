//! Check of the agent's own directory. Nothing is written: a disk that hangs would hold this process.

use std::path::Path;

use agent_config::Config;
use agent_core::units::rounded_size;
use agent_daemon::host::space;
use agent_daemon::state::remedy;
use agent_files::Mount;
use rustix::fs::{Access, access, major, minor, stat};
use rustix::io::Errno;

use super::report::Finding;

/// Room for all recordings and incidents that are kept, bytes.
const ROOM: u64 = 128 << 20;
const CHECK: &str = "state";

pub(super) async fn check_state(config: &Config) -> Vec<Finding> {
    let dir = config.agent.state_dir.clone();
    // A disk that hangs must not block the runtime.
    let found = tokio::task::spawn_blocking(move || check_dir(&dir, space(&dir), &Mount::all().unwrap_or_default()));
    vec![
        found
            .await
            .unwrap_or_else(|error| Finding::fail(CHECK, error.to_string())),
    ]
}

/// `space` is what is free of its disk and all of it, bytes.
pub(super) fn check_dir(dir: &Path, space: Option<(u64, u64)>, mounts: &[Mount]) -> Finding {
    let shown = dir.display();
    let permitted = access(dir, Access::WRITE_OK).and_then(|()| {
        let about = stat(dir)?;
        let device = (major(about.st_dev), minor(about.st_dev));
        // After an error the kernel refuses writes that it permits.
        let refused = mounts.iter().any(|mount| mount.device == device && mount.read_only);
        if refused { Err(Errno::ROFS) } else { Ok(()) }
    });
    match permitted {
        Ok(()) if !dir.is_dir() => {
            return Finding::fail(CHECK, format!("{shown} is not a directory: correct agent.state_dir"));
        }
        Err(Errno::ACCESS | Errno::PERM) => {
            return Finding::skip(CHECK, format!("{shown} is not for this user: run this as root"));
        }
        Err(Errno::NOENT) | Ok(()) => {}
        Err(error) => {
            let error = error.into();
            return Finding::fail(CHECK, format!("cannot write to {shown}: {error}; {}", remedy(&error)));
        }
    }
    match space {
        None => Finding::skip(CHECK, format!("the free space of {shown} cannot be determined")),
        Some((free, _)) if free < ROOM => Finding::warn(
            CHECK,
            format!(
                "{} free in {shown}, below {} recordings and incidents may be lost: free space on its disk",
                rounded_size(free),
                rounded_size(ROOM)
            ),
        ),
        Some((free, _)) => Finding::pass(CHECK, format!("{} free in {shown}", rounded_size(free))),
    }
}
