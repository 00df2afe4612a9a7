//! Attaching, mounting, checking and releasing the volume, one step at a time.

use std::io;
use std::time::Duration;

use tracing::warn;

use super::attachment::AttachmentWatch;
use super::block_device::{self, BlockDevice, VolumeState};
use super::claim::LeaseWatch;
use super::lease::{self, Claim};
use super::mount::{self, MountError, Mounter};
use super::{RETRY, VolumeSettings, VolumeUse};
use agent_aws::{Attachment, Patience, UNKNOWN, VolumeError, Volumes};
use agent_core::event::{Holding, Identity};
use agent_net::backoff::pauses;
use agent_runtime::Instant;
use agent_runtime::disk::{self, Disk};

/// How long the API's answer that the volume is attached here is relied on.
const ATTACHMENT_VALID: Duration = Duration::from_secs(20);
/// The same as [`lease::UNSURE`] for an agent that was just started, which does not know how old the lease is.
const UNSURE_AT_START: Duration = Duration::from_secs(10);
/// Most steps of one check that each changed something.
const STEPS_MAX: usize = 8;
/// Keeps this host's hold on the volume.
pub(super) struct VolumeLeaseManager {
    pub(super) settings: VolumeSettings,
    pub(super) volumes: Volumes,
    mounter: Mounter,
    /// When the API last confirmed that the volume is attached here.
    pub(super) attached_at: Option<Instant>,
    /// It was held since the agent started.
    pub(super) held: bool,
    pub(super) lease: LeaseWatch,
    began: Instant,
    /// When mount and lease could last be inspected.
    inspected_at: Option<Instant>,
    pub(super) attachment: AttachmentWatch,
    /// Since when it is unknown whether the volume is held, while nothing uses it.
    unknown: Patience,
}

/// One step towards holding the volume.
pub(super) enum HoldStep {
    /// Something changed: check again.
    Again,
    Result(Identity),
}

impl HoldStep {
    pub(super) fn result(holding: Holding, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::Result(Identity { holding, why })
    }
}

/// Why the volume was not given back.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReleaseError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(transparent)]
    Volume(#[from] VolumeError),
}

impl VolumeLeaseManager {
    pub(super) fn new(settings: VolumeSettings) -> Self {
        Self {
            volumes: Volumes::new(&settings.imds, settings.endpoint.clone()),
            mounter: Mounter::new(&settings.requests),
            settings,
            attached_at: None,
            held: false,
            lease: LeaseWatch::default(),
            began: Instant::now(),
            inspected_at: None,
            attachment: AttachmentWatch::new(),
            unknown: Patience::new(UNKNOWN),
        }
    }

    /// Checks the volume, and does what is missing to hold it.
    pub(super) async fn check(&mut self, volume_use: VolumeUse) -> Identity {
        for _ in 0..STEPS_MAX {
            if let HoldStep::Result(found) = self.step(volume_use).await {
                let found = self.settle_unknown(found, volume_use);
                match found.holding {
                    Holding::Held => self.held = true,
                    // Without a user, the volume is not lost but missing.
                    Holding::Missing | Holding::Lost if volume_use.idle => self.held = false,
                    _ => {}
                }
                return found;
            }
        }
        let why = "the volume comes and goes; is another agent at work here?".to_owned();
        Identity {
            holding: Holding::Missing,
            why,
        }
    }

    /// What stays unknown while nothing runs is as good as missing: nothing starts either way, and an operator has to know.
    fn settle_unknown(&mut self, found: Identity, volume_use: VolumeUse) -> Identity {
        if found.holding != Holding::Unknown || !volume_use.idle {
            self.unknown.reset();
            return found;
        }
        let holding = if self.unknown.is_over() {
            Holding::Missing
        } else {
            Holding::Unknown
        };
        Identity { holding, ..found }
    }

    /// The volume is not here: lost if it was held, else missing.
    pub(super) fn absent(&self, why: impl Into<String>) -> HoldStep {
        let holding = if self.held { Holding::Lost } else { Holding::Missing };
        HoldStep::result(holding, why)
    }

    async fn step(&mut self, volume_use: VolumeUse) -> HoldStep {
        let (mount, volume) = (self.settings.mount.clone(), self.settings.volume.clone());
        let inspect = disk::run_io(Disk::Identity, move || block_device::inspect(&mount, volume.as_deref()));
        let found = match inspect.await {
            Ok(found) => found,
            Err(error) => return self.uninspected(&error.to_string()),
        };
        self.inspected_at = Some(Instant::now());
        match self.settings.volume.clone() {
            Some(volume) => self.step_volume(&volume, found, volume_use).await,
            None => self.step_mount(found).await,
        }
    }

    /// Mount and lease could not be inspected. Where only the lease keeps others away, one of them may take it meanwhile.
    fn uninspected(&mut self, why: &str) -> HoldStep {
        let why = format!("{}: {why}", self.settings.mount.display());
        let expired = match self.inspected_at {
            Some(at) => at.elapsed() >= lease::UNSURE,
            None => self.began.elapsed() >= UNSURE_AT_START,
        };
        if self.settings.volume.is_none() && expired {
            self.lease.give_up();
            return self.absent(why);
        }
        HoldStep::result(Holding::Unknown, why)
    }

    async fn step_volume(&mut self, volume: &str, found: VolumeState, volume_use: VolumeUse) -> HoldStep {
        let misplaced = self.misplaced(volume, &found);
        match &misplaced {
            None if found.mounted.is_some_and(|mounted| mounted.read_only) => return self.read_only(),
            // Under a running collator, this host's own view is enough, whatever the API answers.
            Some(why) if !volume_use.idle => {
                self.attached_at = None;
                return self.absent(why);
            }
            Some(_) if self.held => self.attached_at = None,
            _ => {}
        }
        if self.attached_at.is_none_or(|at| at.elapsed() >= ATTACHMENT_VALID) {
            let attachment = self.volumes.attachment(volume).await;
            if let Some(step) = self.step_attachment(volume, &found, attachment, volume_use).await {
                return step;
            }
        }
        let instance = match self.volumes.instance().await {
            Ok(instance) => instance,
            Err(error) => return self.step_refused(volume, &error, volume_use),
        };
        match (&found.device, found.mounted, misplaced) {
            (_, Some(mounted), None) => {
                let (read_only, lease) = (mounted.read_only, found.lease);
                self.claim(&instance, read_only, lease, Claim::Exclusive).await
            }
            (Some(device), None, _) => self.mount(device).await,
            (Some(_), Some(_), Some(_)) if self.unmount_leftover(&found, volume_use).await => HoldStep::Again,
            (_, _, why) => self.absent(why.unwrap_or_default()),
        }
    }

    /// Why the mount is not the volume's, as this host sees it.
    pub(super) fn misplaced(&self, volume: &str, found: &VolumeState) -> Option<String> {
        let mount = self.settings.mount.display();
        match (&found.device, found.mounted) {
            (Some(device), Some(mounted)) if mounted.number == device.number => None,
            (None, _) => Some(format!("the device of {volume} is not to be seen (lsblk)")),
            (Some(device), None) => Some(format!("{} is not mounted at {mount}", device.path.display())),
            (Some(device), Some(_)) => Some(format!("{mount} is not {}: unmount it", device.path.display())),
        }
    }

    async fn step_mount(&mut self, found: VolumeState) -> HoldStep {
        let Some(mounted) = found.mounted else {
            let mount = self.settings.mount.display();
            return self.absent(format!(
                "nothing is mounted at {mount}: mount the volume with the keys there"
            ));
        };
        let host = self.settings.host.clone();
        self.claim(&host, mounted.read_only, found.lease, Claim::Shared).await
    }

    async fn mount(&mut self, device: &BlockDevice) -> HoldStep {
        match self.mounter.mount(device, &self.settings.mount).await {
            Ok(true) => HoldStep::Again,
            Ok(false) => self.absent(format!("{} is being mounted", device.path.display())),
            Err(error) => self.absent(error.to_string()),
        }
    }

    /// Unmounts a mount that is not, or no longer, the volume's. Returns whether that is done.
    pub(super) async fn unmount_leftover(&mut self, found: &VolumeState, volume_use: VolumeUse) -> bool {
        let unmounted = self.unmount_idle(found, volume_use).await;
        unmounted.unwrap_or_else(|error| {
            warn!(%error, "a leftover mount of the identity was not unmounted");
            false
        })
    }

    /// Unmounts what is mounted and not used. Returns whether that is done.
    pub(super) async fn unmount_idle(
        &mut self,
        found: &VolumeState,
        volume_use: VolumeUse,
    ) -> Result<bool, MountError> {
        if found.mounted.is_none() || !volume_use.idle {
            return Ok(false);
        }
        self.mounter.unmount(&self.settings.mount).await
    }

    /// Unmounts and detaches, with retries until it succeeds.
    pub(super) async fn release(&mut self) -> Result<(), ReleaseError> {
        let Some(volume) = self.settings.volume.clone() else {
            return Ok(self.remove_lease().await?);
        };
        (self.held, self.attached_at) = (false, None);
        let mut retry = pauses(RETRY.0, RETRY.1);
        loop {
            match self.give_back(&volume).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => warn!(%error, "the identity is not given back yet"),
            }
            tokio::time::sleep(retry.next().unwrap_or(RETRY.1)).await;
        }
    }

    async fn remove_lease(&self) -> io::Result<()> {
        let mount = self.settings.mount.clone();
        disk::run_io(Disk::Identity, move || lease::remove(&mount)).await
    }

    async fn give_back(&mut self, volume: &str) -> Result<bool, ReleaseError> {
        if mount::is_mounted(&self.settings.mount).await? {
            if let Err(error) = self.remove_lease().await {
                warn!(%error, "the lease stays on the volume, and the next host waits for this one");
            }
            self.mounter.unmount(&self.settings.mount).await?;
            return Ok(false);
        }
        if self.volumes.attachment(volume).await? == Attachment::Here {
            self.volumes.detach(volume).await?;
        }
        Ok(true)
    }
}
