//! Checks of the data directory: its owner, file system, free space and keys.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use agent_config::{Config, ContainerUser};
use agent_core::units::rounded_size;

use super::keystore;
use super::report::Finding;

/// Magic numbers of file systems that lose data with the power, or cannot be locked.
const UNFIT_FILE_SYSTEMS: [(u32, &str); 3] = [(0x0102_1994, "tmpfs"), (0x794c_7630, "overlayfs"), (0x6969, "nfs")];

pub(super) async fn check_data(config: &Config) -> Vec<Finding> {
    let config = config.clone();
    // A disk that hangs must not block the runtime.
    let findings = tokio::task::spawn_blocking(move || {
        vec![
            check_owner(&config.data.path, config.collator.user),
            check_file_system(&config.data.path),
            check_free_space(&config),
            keystore::check_keystore(&config),
        ]
    });
    findings
        .await
        .unwrap_or_else(|error| vec![Finding::fail("data", error.to_string())])
}

pub(super) fn check_owner(path: &Path, user: Option<ContainerUser>) -> Finding {
    let shown = path.display();
    let meta = match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => meta,
        Ok(_) => return Finding::fail("data", format!("{shown} is not a directory: correct data.path")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::pass("data", format!("{shown} is not there yet: the agent will make it"));
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Finding::skip("data", format!("{shown} is not for this user: run this as root"));
        }
        Err(error) => return Finding::fail("data", format!("{shown}: {error}: check data.path and its disk")),
    };
    match user {
        Some(user) if user.uid != meta.uid() && user.uid != 0 => Finding::fail(
            "data",
            format!(
                "{shown} belongs to {}:{} and the collator runs as {}:{}: chown -R {}:{} {shown}",
                meta.uid(),
                meta.gid(),
                user.uid,
                user.gid,
                user.uid,
                user.gid
            ),
        ),
        Some(_) => Finding::pass("data", format!("{shown} belongs to the collator's user")),
        None => Finding::pass("data", format!("{shown} belongs to {}:{}", meta.uid(), meta.gid())),
    }
}

fn check_file_system(path: &Path) -> Finding {
    let Some(there) = nearest_existing(path) else {
        return Finding::skip("filesystem", "cannot be determined");
    };
    let Ok(found) = rustix::fs::statfs(&there) else {
        return Finding::skip("filesystem", format!("{} does not tell", there.display()));
    };
    // The numbers have 32 bits, whatever the width of the field.
    let unfit = UNFIT_FILE_SYSTEMS
        .iter()
        .find(|(number, _)| i64::from(*number) == found.f_type);
    match unfit {
        Some((_, name)) => Finding::warn(
            "filesystem",
            format!("{name} is no place for a chain: put data.path on a volume with ext4 or xfs"),
        ),
        None => Finding::pass("filesystem", format!("{} is on a disk", path.display())),
    }
}

fn check_free_space(config: &Config) -> Finding {
    let Some((free, total)) = agent_daemon::host::space(&config.data.path) else {
        return Finding::skip("disk", "cannot be determined");
    };
    let seen = format!("{} of {} free", rounded_size(free), rounded_size(total));
    if free < config.host.disk_floor {
        let floor = rounded_size(config.host.disk_floor);
        return Finding::fail(
            "disk",
            format!("{seen}, and below {floor} the collator is kept stopped: free or add space"),
        );
    }
    if u128::from(free) * 100 < u128::from(total) * u128::from(config.host.disk_warn_percent) {
        return Finding::warn("disk", format!("{seen}: free or add space soon"));
    }
    Finding::pass("disk", seen)
}

/// `path` itself, or its nearest ancestor that exists.
fn nearest_existing(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|path| path.exists()).map(PathBuf::from)
}
