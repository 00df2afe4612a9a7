//! The identity adapter: attaches and mounts the volume with the keys, reports whether it is held, and gives it back.
//!
//! It never formats a volume and never detaches one by force. A failed query is [`Holding::Unknown`]: neither held nor
//! lost.

mod attachment;
pub mod block_device;
mod claim;
pub mod keystore;
pub mod lease;
mod manager;
pub mod mount;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use self::manager::VolumeLeaseManager;
use agent_core::event::{Holding, Identity};
use agent_net::backoff::pauses;

/// Interval of the checks of mount, device and lease while the volume is held.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// The first and the longest wait between two attempts to hold or to release it.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// Longest time that a release may take: the end of the instance waits for it.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(20);

/// Which volume is to be held, and how.
#[derive(Debug, Clone)]
pub struct VolumeSettings {
    /// This host's name, which holds the lease where there are no instances.
    pub host: String,
    /// `None`: the mount is managed outside the agent.
    pub volume: Option<String>,
    pub mount: PathBuf,
    /// Base URI of the metadata service.
    pub imds: String,
    /// The API's URL where it is not the region's own.
    pub endpoint: Option<String>,
    /// Directory for requests to the root helper.
    pub requests: PathBuf,
}

/// What the collator's state allows to be done with the volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VolumeUse {
    /// Nothing runs that could use the volume.
    pub idle: bool,
    /// This host ends, and the volume is to be given back.
    pub vacated: bool,
}

/// A change of the volume's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityEvent {
    /// Whether this host holds the volume.
    Holding(Identity),
    /// It was given back after [`VolumeUse::vacated`], or the attempt failed for good.
    Released,
}

/// Holds the volume until one of the channels is closed.
pub async fn hold(settings: VolumeSettings, events: Sender<IdentityEvent>, mut volume_use: watch::Receiver<VolumeUse>) {
    let mut manager = VolumeLeaseManager::new(settings);
    let mut sent: Option<Identity> = None;
    let mut released = false;
    let mut retry = pauses(RETRY.0, RETRY.1);
    loop {
        let now = *volume_use.borrow_and_update();
        if now.vacated {
            if !std::mem::replace(&mut released, true) {
                match timeout(RELEASE_TIMEOUT, manager.release()).await {
                    Ok(Ok(())) => info!("the identity was given back"),
                    Ok(Err(error)) => warn!(%error, "the identity was not given back"),
                    Err(_) => warn!(limit = ?RELEASE_TIMEOUT, "the identity was not given back in time"),
                }
                if events.send(IdentityEvent::Released).await.is_err() {
                    return;
                }
            }
            if volume_use.changed().await.is_err() {
                return;
            }
            continue;
        }
        released = false;
        let found = manager.check(now).await;
        let held = found.holding == Holding::Held;
        if sent.as_ref() != Some(&found) {
            info!(holding = found.holding.into_str(), why = found.why, "identity");
            if events.send(IdentityEvent::Holding(found.clone())).await.is_err() {
                return;
            }
            sent = Some(found);
        }
        let wait = if held {
            retry = pauses(RETRY.0, RETRY.1);
            CHECK_INTERVAL
        } else {
            retry.next().unwrap_or(RETRY.1)
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = volume_use.changed() => {
                if changed.is_err() {
                    return;
                }
                retry = pauses(RETRY.0, RETRY.1);
            }
        }
    }
}
