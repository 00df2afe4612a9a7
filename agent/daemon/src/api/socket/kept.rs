//! The socket under its name: made again when it was removed, and never taken from another agent.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use agent_runtime::disk::{self, Disk};
use tokio::net::{UnixListener, UnixStream, unix};
use tokio::sync::mpsc;
use tokio_util::net::Listener;
use tracing::{debug, info, warn};

use super::{ApiSocket, SocketFile, bind};

/// The listener, which is replaced when the socket is made again.
#[derive(Debug)]
pub(in crate::api) struct KeptListener {
    listener: UnixListener,
    replacements: mpsc::Receiver<UnixListener>,
}

/// Keeps the socket under its name.
#[derive(Debug)]
pub(in crate::api) struct SocketKeeper {
    file: SocketFile,
    every: Duration,
    replacements: mpsc::Sender<UnixListener>,
    /// The error that was logged last.
    logged: Option<String>,
}

impl ApiSocket {
    #[cfg(test)]
    pub(in crate::api) fn examined_every(self, examined_every: Duration) -> Self {
        Self { examined_every, ..self }
    }

    pub(in crate::api) fn kept(self) -> (KeptListener, SocketKeeper) {
        let (sender, replacements) = mpsc::channel(1);
        let listener = KeptListener {
            listener: self.listener,
            replacements,
        };
        let keeper = SocketKeeper {
            file: self.file,
            every: self.examined_every,
            replacements: sender,
            logged: None,
        };
        (listener, keeper)
    }
}

impl Listener for KeptListener {
    type Io = UnixStream;
    type Addr = unix::SocketAddr;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Io, Self::Addr)>> {
        while let Poll::Ready(Some(listener)) = self.replacements.poll_recv(cx) {
            self.listener = listener;
        }
        self.listener.poll_accept(cx)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl SocketKeeper {
    /// Keeps the socket until `shutdown`, then removes it.
    pub(in crate::api) async fn keep_until(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                () = tokio::time::sleep(self.every) => self.examine().await,
            }
        }
        let file = self.file;
        if let Err(error) = disk::run_io(Disk::System, move || file.remove()).await {
            debug!(%error, "cannot remove the socket");
        }
    }

    /// Makes the socket again where its name is free, or that of a listener that has gone.
    async fn examine(&mut self) {
        let file = self.file.clone();
        // A disk that does not answer is no news about the socket.
        if disk::run(Disk::System, move || file.is_there()).await.unwrap_or(true) {
            self.logged = None;
            return;
        }
        let path = self.file.path.display();
        match bind(&self.file.path, self.file.group).await {
            Ok(socket) => {
                info!(socket = %path, "the socket had been removed, and is there again");
                self.file = socket.file;
                self.logged = None;
                // The server has ended when there is no receiver.
                drop(self.replacements.send(socket.listener).await);
            }
            Err(error) => {
                let error = error.to_string();
                if self.logged.as_ref() != Some(&error) {
                    warn!(
                        error,
                        "the socket has been removed and cannot be made again: no command reaches this agent"
                    );
                    self.logged = Some(error);
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "jobs for the disk of the runtime directory")]
impl SocketFile {
    /// Whether the name still leads to the socket that was made there.
    fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|about| (about.dev(), about.ino()) == self.id)
    }

    fn remove(&self) -> io::Result<()> {
        if self.is_there() {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}
