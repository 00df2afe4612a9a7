//! The directories on the host that the container is given.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Docker, Error};
use agent_config::ContainerUser;
use agent_files::{Dir, Refusal};
use agent_runtime::disk::{self, Disk, DiskError};
use tracing::warn;

/// Mode of a data directory that we make: chain data and network key are for the collator's user alone.
const MODE: u32 = 0o750;

impl Docker {
    /// Makes the data directory, owned by the collator's user, if it is missing, and checks that every other
    /// mount source is there.
    ///
    /// Fails when this process may not, a source is missing, or a file system does not answer within 5 s.
    pub async fn prepare_paths(&self) -> Result<(), Error> {
        match self.try_prepare_paths().await {
            Ok(prepared) => prepared,
            Err(error) => Err(Error::Path {
                path: self.spec.data.path.clone(),
                reason: error.to_string(),
            }),
        }
    }

    /// As [`Self::prepare_paths`], for a container that has been given these paths already: where a disk does not answer, it
    /// is started all the same, since a stalled disk is no reason to keep it down.
    pub(crate) async fn prepare_paths_again(&self) -> Result<(), Error> {
        self.try_prepare_paths().await.unwrap_or_else(|error| {
            warn!(%error, "the container's directories were not looked at before its start");
            Ok(())
        })
    }

    async fn try_prepare_paths(&self) -> Result<Result<(), Error>, DiskError> {
        let spec = &self.spec;
        let (data, user) = (spec.data.path.clone(), spec.collator.user);
        if let Err(error) = disk::run(Disk::Data, move || prepare(&data, user)).await? {
            return Ok(Err(error));
        }
        let sources: Vec<PathBuf> = spec.mounts.iter().map(|mount| mount.source.clone()).collect();
        if sources.is_empty() {
            return Ok(Ok(()));
        }
        disk::run(Disk::Mounts, move || {
            sources.iter().try_for_each(|source| present(source))
        })
        .await
    }
}

/// Makes `data` with the collator as owner, unless it exists: then it is left exactly as it is.
///
/// The directory appears under its name only when it is complete, so that being killed half way cannot
/// leave one that the collator cannot write to and that we would never touch again.
#[expect(clippy::disallowed_methods, reason = "a job for the data disk")]
fn prepare(data: &Path, user: Option<ContainerUser>) -> Result<(), Error> {
    let failed = |reason: String| Error::Path {
        path: data.to_owned(),
        reason,
    };
    match Dir::open(data) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(failed("is not a directory; correct data.path".to_owned()));
        }
        Err(error) => match Refusal::find(&error) {
            Some(refusal) => return Err(failed(refusal.why.to_owned())),
            None => return Err(failed(format!("{error}; check data.path"))),
        },
    }
    if fs::symlink_metadata(data).is_ok() {
        return Err(failed(
            "is a link that leads nowhere; is its volume mounted?".to_owned(),
        ));
    }
    let (Some(parent), Some(name)) = (data.parent(), data.file_name()) else {
        return Err(failed("cannot be made; correct data.path".to_owned()));
    };
    open_or_make(parent)
        .and_then(|parent| make(&parent, name, user))
        .map_err(|error| {
            let owner = user
                .map(|user| format!(" -o {} -g {}", user.uid, user.gid))
                .unwrap_or_default();
            failed(format!(
                "is missing and cannot be made from here ({error}); as root: `install -d -m 0750{owner} {}`",
                data.display()
            ))
        })
}

/// Opens a directory, and makes it with its missing parents.
#[expect(clippy::disallowed_methods, reason = "a job for the data disk")]
fn open_or_make(path: &Path) -> io::Result<Dir> {
    match Dir::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let above = open_or_make(above)?;
    match above.make_dir(name, 0o755) {
        // Another process made it in between.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => above.dir(name),
        made => made,
    }
}

/// Makes `name` in `parent`, by way of a draft.
fn make(parent: &Dir, name: &OsStr, user: Option<ContainerUser>) -> io::Result<()> {
    let mut draft_name = OsString::from(".");
    draft_name.push(name);
    draft_name.push(".t0rn-agent");
    let draft = match parent.make_dir(&draft_name, 0o700) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => left_draft(parent, &draft_name, user)?,
        made => made?,
    };
    if let Some(user) = user {
        draft.set_owner(user.uid, user.gid)?;
    }
    draft.set_mode(MODE)?;
    parent.rename(&draft_name, parent, name)?;
    parent.sync()
}

/// The draft that a killed agent left. A user who may write to the parent could have put something else there.
fn left_draft(parent: &Dir, name: &OsStr, user: Option<ContainerUser>) -> io::Result<Dir> {
    let draft = parent.dir(name)?;
    let owner = draft.metadata()?.uid();
    let own = rustix::process::geteuid().as_raw();
    if (owner == own || user.is_some_and(|user| user.uid == owner)) && draft.names()?.is_empty() {
        return Ok(draft);
    }
    let text = format!("{}: was not left by this agent; remove it", draft.path().display());
    Err(io::Error::other(text))
}

/// A missing source is never made: its right owner is not known.
#[expect(clippy::disallowed_methods, reason = "a job for the disks of mount sources")]
fn present(source: &Path) -> Result<(), Error> {
    fs::metadata(source).map(drop).map_err(|error| Error::Path {
        path: source.to_owned(),
        reason: format!("mount source is missing ({error}); create it with the right owner, or correct [[mounts]]"),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

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
    fn a_planted_draft_is_refused_by_name_and_leads_nowhere() {
        let root = tempfile::tempdir().unwrap();
        let victim = root.path().join("victim");
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("file"), "of root").unwrap();
        let before = (me(&victim), fs::metadata(&victim).unwrap().mode());
        let (draft, data) = (root.path().join(".data.t0rn-agent"), root.path().join("data"));
        let refused = || {
            let user = ContainerUser { uid: 4242, gid: 4242 };
            let text = prepare(&data, Some(user)).unwrap_err().to_string();
            assert!(text.contains(".data.t0rn-agent"), "{text}");
        };
        std::os::unix::fs::symlink("victim", &draft).unwrap();
        refused();
        fs::remove_file(&draft).unwrap();
        fs::create_dir(&draft).unwrap();
        fs::write(draft.join("planted"), "").unwrap();
        refused();
        assert!(fs::symlink_metadata(&data).is_err());
        assert_eq!((me(&victim), fs::metadata(&victim).unwrap().mode()), before);
    }

    #[test]
    fn an_attacked_parent_directory_leads_nowhere() {
        use std::os::unix::fs::symlink;
        use std::sync::atomic::{AtomicBool, Ordering};
        let root = tempfile::tempdir().unwrap();
        let (parent, victim) = (root.path().join("parent"), root.path().join("victim"));
        for dir in [&parent, &victim] {
            fs::create_dir(dir).unwrap();
        }
        let before = (me(&victim), fs::metadata(&victim).unwrap().mode());
        let user = Some(before.0)
            .filter(|me| me.uid != 0)
            .unwrap_or(ContainerUser { uid: 4711, gid: 4711 });
        let (draft, data, stop) = (
            parent.join(".data.t0rn-agent"),
            parent.join("data"),
            AtomicBool::new(false),
        );
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = symlink(&victim, &draft);
                    std::thread::yield_now();
                    let _ = fs::remove_file(&draft);
                    let _ = fs::rename(&draft, parent.join("aside"));
                    let _ = symlink(&victim, &draft);
                    let _ = fs::remove_file(&draft);
                    let _ = fs::remove_dir(parent.join("aside"));
                }
            });
            for _ in 0..200 {
                let _ = prepare(&data, Some(user));
                let _ = fs::remove_dir(&data).or_else(|_| fs::remove_file(&data));
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!((me(&victim), fs::metadata(&victim).unwrap().mode()), before);
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
