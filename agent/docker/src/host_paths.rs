//! The directories on the host that the container is given.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::{Docker, Error};
use agent_config::ContainerUser;

/// Mode of a data directory that we make: chain data and network key are nobody else's business.
const MODE: u32 = 0o750;

impl Docker {
    /// Makes the data directory, owned by the collator's user, if it is missing, and checks that every other
    /// mount source is there.
    ///
    /// Fails when this process may not, a source is missing, or the file system does not answer within 10 s.
    pub async fn prepare_paths(&self) -> Result<(), Error> {
        let spec = &self.spec;
        let (data, user) = (spec.data.path.clone(), spec.collator.user);
        let sources: Vec<PathBuf> = spec.mounts.iter().map(|mount| mount.source.clone()).collect();
        // A path on a device that hangs must hang a thread of its own, not the agent.
        let work = tokio::task::spawn_blocking(move || {
            prepare(&data, user)?;
            sources.iter().try_for_each(|source| present(source))
        });
        let stuck = |reason: String| Error::Path {
            path: self.spec.data.path.clone(),
            reason,
        };
        match tokio::time::timeout(self.limits.call, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(stuck(format!("could not be prepared: {error}"))),
            Err(_) => Err(stuck(
                "the file system does not answer; check its device and mount".to_owned(),
            )),
        }
    }
}

/// Makes `data` with the collator as owner, unless it exists: then it is left exactly as it is.
///
/// The directory appears under its name only when it is complete, so that being killed half way cannot
/// leave one that the collator cannot write to and that we would never touch again.
fn prepare(data: &Path, user: Option<ContainerUser>) -> Result<(), Error> {
    let failed = |reason: String| Error::Path {
        path: data.to_owned(),
        reason,
    };
    match fs::metadata(data) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(failed("is not a directory; correct data.path".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(format!("{error}; check data.path"))),
    }
    if fs::symlink_metadata(data).is_ok() {
        return Err(failed(
            "is a link that leads nowhere; is its volume mounted?".to_owned(),
        ));
    }
    let (Some(parent), Some(name)) = (data.parent(), data.file_name()) else {
        return Err(failed("cannot be made; correct data.path".to_owned()));
    };
    let draft = parent.join(format!(".{}.t0rn-agent", name.to_string_lossy()));
    let make = || -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
        match DirBuilder::new().mode(0o700).create(&draft) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if let Some(user) = user {
            chown(&draft, Some(user.uid), Some(user.gid))?;
        }
        fs::set_permissions(&draft, Permissions::from_mode(MODE))?;
        fs::rename(&draft, data)
    };
    make().map_err(|error| {
        let owner = user
            .map(|user| format!(" -o {} -g {}", user.uid, user.gid))
            .unwrap_or_default();
        failed(format!(
            "is missing and cannot be made from here ({error}); as root: `install -d -m 0750{owner} {}`",
            data.display()
        ))
    })
}

/// A missing source would be made by nobody with the right owner, so it is never made at all.
fn present(source: &Path) -> Result<(), Error> {
    fs::metadata(source).map(drop).map_err(|error| Error::Path {
        path: source.to_owned(),
        reason: format!("mount source is missing ({error}); create it with the right owner, or correct [[mounts]]"),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn me(dir: &Path) -> ContainerUser {
        let meta = fs::metadata(dir).unwrap();
        ContainerUser {
            uid: meta.uid(),
            gid: meta.gid(),
        }
    }

    #[test]
    fn missing_data_directory_is_made_with_parents_for_collator_alone() {
        let root = tempfile::tempdir().unwrap();
        let is_root = me(root.path()).uid == 0;
        let user = if is_root {
            ContainerUser { uid: 1000, gid: 1001 }
        } else {
            me(root.path())
        };
        let data = root.path().join("a/b/data");
        prepare(&data, Some(user)).unwrap();
        let meta = fs::metadata(&data).unwrap();
        assert_eq!(
            (meta.uid(), meta.gid(), meta.mode() & 0o7777),
            (user.uid, user.gid, 0o750)
        );
        let left: Vec<_> = fs::read_dir(data.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "the draft is gone: {left:?}");
    }

    #[test]
    fn an_existing_data_directory_keeps_owner_mode_and_content() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("db"), "chain").unwrap();
        fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
        let before = me(&data);
        prepare(&data, Some(ContainerUser { uid: 4242, gid: 4242 })).unwrap();
        assert_eq!(
            (me(&data), fs::metadata(&data).unwrap().mode() & 0o7777),
            (before, 0o700)
        );
        assert_eq!(fs::read_to_string(data.join("db")).unwrap(), "chain");
    }

    #[test]
    fn a_draft_left_by_a_killed_agent_is_completed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(".data.t0rn-agent")).unwrap();
        let data = root.path().join("data");
        prepare(&data, Some(me(root.path()))).unwrap();
        assert_eq!(fs::metadata(&data).unwrap().mode() & 0o7777, 0o750);
    }

    #[test]
    fn a_file_or_a_dangling_link_in_its_place_is_reported_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(
            prepare(&file, None)
                .unwrap_err()
                .to_string()
                .contains("not a directory")
        );
        let link = root.path().join("link");
        std::os::unix::fs::symlink("/nowhere/at/all", &link).unwrap();
        assert!(prepare(&link, None).unwrap_err().to_string().contains("leads nowhere"));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_missing_mount_source_is_named_and_not_made() {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("keystore");
        let error = present(&source).unwrap_err().to_string();
        assert!(error.starts_with(&source.display().to_string()), "{error}");
        assert!(error.contains("mount source is missing"), "{error}");
        assert!(!source.exists());
    }
}
