//! The socket file: its permissions, and whether it is in use.

mod kept;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_runtime::disk::{self, Disk};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tokio::net::UnixListener;
use tracing::{debug, warn};

use crate::state::is_over;

/// How often it is examined whether the socket still has its name.
const EXAMINED_EVERY: Duration = Duration::from_secs(15);

/// A socket that is listened on.
#[derive(Debug)]
pub struct ApiSocket {
    listener: UnixListener,
    file: SocketFile,
    examined_every: Duration,
}

/// The name of a socket, and what was made there.
#[derive(Debug, Clone)]
struct SocketFile {
    path: PathBuf,
    group: &'static str,
    /// Device and inode.
    id: (u64, u64),
}

/// Why the agent cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A process listens on it.
    #[error("another agent listens on {}; see: t0rn-agent status", .0.display())]
    Live(PathBuf),
    /// A file of that name is not a socket; it is left alone.
    #[error("{} is no socket; move it away, or set agent.socket to another path", .0.display())]
    NotASocket(PathBuf),
    /// The directory or the socket cannot be made.
    #[error("cannot listen on {}: {error}; check agent.socket and the rights on its directory", path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// Listens on `path`, mode 0660, owned by `group` when this host has that group.
///
/// Makes a missing directory and removes a socket without a listener.
pub async fn bind(path: &Path, group: &'static str) -> Result<ApiSocket, BindError> {
    let io = |error| BindError::Io {
        path: path.to_owned(),
        error,
    };
    let place = path.to_owned();
    let listening = disk::run(Disk::System, move || listen(&place, group)).await;
    let (listener, id) = listening.map_err(|error| io(error.into())).flatten()?;
    Ok(ApiSocket {
        listener: UnixListener::from_std(listener).map_err(io)?,
        file: SocketFile {
            path: path.to_owned(),
            group,
            id,
        },
        examined_every: EXAMINED_EVERY,
    })
}

#[expect(clippy::disallowed_methods, reason = "a job for the disk of the runtime directory")]
fn listen(path: &Path, group: &str) -> Result<(net::UnixListener, (u64, u64)), BindError> {
    let io = |error| BindError::Io {
        path: path.to_owned(),
        error,
    };
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)
            .map_err(io)?;
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) if is_live(path).map_err(io)? => return Err(BindError::Live(path.to_owned())),
        Ok(_) => {
            debug!(socket = %path.display(), "removing a leftover socket");
            fs::remove_file(path).map_err(io)?;
        }
    }
    let listener = net::UnixListener::bind(path).map_err(io)?;
    listener.set_nonblocking(true).map_err(io)?;
    match group_id(group) {
        None => debug!(group, "no such group: the socket is for its owner's group"),
        Some(gid) => {
            if let Err(error) = chown(path, None, Some(gid)) {
                warn!(%error, group, socket = %path.display(), "cannot give the socket to the group: its members cannot use it");
            }
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(io)?;
    let about = fs::symlink_metadata(path).map_err(io)?;
    Ok((listener, (about.dev(), about.ino())))
}

/// Whether a process listens on it. Never waits: a full backlog is a listener too.
fn is_live(path: &Path) -> io::Result<bool> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        // One that was killed and hangs on a disk listens for ever, and accepts nothing.
        Ok(()) => Ok(!socket_peercred(&socket).is_ok_and(|peer| is_over(peer.pid.as_raw_pid().cast_unsigned()))),
        Err(Errno::AGAIN) => Ok(true),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The id of a group of this host's own list.
#[expect(clippy::disallowed_methods, reason = "part of a job for the system disk")]
fn group_id(name: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[tokio::test]
    async fn socket_and_directory_are_made_for_owner_and_group_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/agent.sock");
        let _listener = bind(&path, "no-such-group").await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    }

    #[tokio::test]
    async fn leftover_is_replaced_and_live_socket_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.sock");
        drop(bind(&path, "root").await.unwrap());
        let _live = bind(&path, "root").await.unwrap();
        assert!(matches!(bind(&path, "root").await, Err(BindError::Live(_))));
    }

    #[tokio::test]
    async fn listener_with_a_full_backlog_is_live() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.sock");
        let deaf = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let address = SocketAddrUnix::new(&path).unwrap();
        rustix::net::bind(&deaf, &address).unwrap();
        rustix::net::listen(&deaf, 0).unwrap();
        for _ in 0..3 {
            assert!(is_live(&path).unwrap());
        }
    }

    #[tokio::test]
    async fn other_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path, "root").await, Err(BindError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn too_long_path_names_the_setting() {
        let dir = tempfile::tempdir().unwrap();
        let error = bind(&dir.path().join("x".repeat(120)), "root").await.unwrap_err();
        assert!(error.to_string().contains("check agent.socket"), "{error}");
    }

    #[test]
    fn groups_are_found_by_name() {
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(group_id("no-such-group"), None);
    }
}
