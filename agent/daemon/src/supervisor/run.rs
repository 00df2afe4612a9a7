//! The agent in a process of its own: signals, and the next life with another configuration.

use std::io;
use std::sync::Arc;

use agent_config::Config;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::configuration::Reloading;
use super::live;
use crate::api::ConfigSource;

/// SIGHUP, which does not end the process from now on. Must be called within a tokio runtime.
///
/// # Errors
/// The signal cannot be handled.
pub fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Runs the agent until SIGTERM or SIGINT; the collator goes on running. `source` is what a reload reads again.
///
/// With a configuration that needs it, the agent begins anew as after a restart, in the same process. One with which it
/// cannot begin is given up for the former one.
///
/// # Errors
/// Another agent holds the state directory, or the state directory or the socket cannot be used.
pub async fn run(mut config: Config, source: ConfigSource, mut hangups: Signal) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let hangup = Arc::new(Notify::new());
    let heard = Arc::clone(&hangup);
    let _task = AbortOnDropHandle::new(tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            heard.notify_one();
        }
    }));
    let mut reloading = Reloading {
        source,
        hangup,
        refused: None,
    };
    let mut former = None;
    loop {
        let ended = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            info!("agent stops; the collator goes on running");
        };
        match Box::pin(live(config.clone(), Some(&reloading), ended, drop)).await {
            Ok(None) => return Ok(()),
            Ok(Some(next)) => {
                former = Some(std::mem::replace(&mut config, next));
                reloading.refused = None;
            }
            Err(error) => {
                let Some(working) = former.take() else {
                    return Err(error);
                };
                let error = format!("the agent cannot begin with it: {error:#}");
                warn!(error, "the configuration is refused, the former one stays in force");
                reloading.refused = Some(error);
                config = working;
            }
        }
    }
}
