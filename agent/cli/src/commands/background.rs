//! Blocking work of a command, and its end by a signal.

use std::future::Future;

use anyhow::bail;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// Fails when a signal comes before `work` is done. Its threads then end with the process.
pub(crate) async fn until_signal<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        done = work => done,
        _ = terminate.recv() => bail!("stopped by a signal"),
        _ = interrupt.recv() => bail!("interrupted"),
        _ = hang_up.recv() => bail!("the terminal is gone"),
    }
}
