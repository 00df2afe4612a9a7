//! Check of the agent's own directory. Nothing is written: a disk that hangs would hold this process.

use std::path::Path;

use agent_config::Config;
use agent_core::units::rounded_size;
use agent_daemon::host::space;
use agent_daemon::state::{is_disk_read_only, remedy_among};
use agent_files::Mount;
use rustix::fs::{Access, access};
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
    // The agent makes what is missing.
    let existing = dir.ancestors().find(|place| place.exists()).unwrap_or(dir);
    let permitted = match access(existing, Access::WRITE_OK) {
        // After an error the kernel refuses writes that it permits.
        Ok(()) if is_disk_read_only(dir, mounts) => Err(Errno::ROFS),
        permitted => permitted,
    };
    match permitted {
        Ok(()) if !existing.is_dir() => {
            return Finding::fail(CHECK, format!("{shown} is not a directory: correct agent.state_dir"));
        }
        Err(Errno::ACCESS | Errno::PERM) => {
            return Finding::skip(CHECK, format!("{shown} is not for this user: run this as root"));
        }
        Ok(()) => {}
        Err(error) => {
            let error = error.into();
            let remedy = remedy_among(&error, dir, mounts);
            return Finding::fail(CHECK, format!("cannot write to {shown}: {error}; {remedy}"));
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
