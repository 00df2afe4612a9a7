//! The attachment of the volume: what EC2's answers about it are worth, and what follows from them.
//!
//! Answers that may be out of date are judged by [`agent_aws::Patience`].

use std::time::Duration;

use tracing::info;

use super::VolumeUse;
use super::block_device::VolumeState;
use super::manager::{HoldStep, VolumeLeaseManager};
use agent_aws::{ATTACHING, ATTACHMENT, Attachment, ErrorClass, Patience, VolumeError};
use agent_core::event::Holding;
use agent_core::units::show_duration;
use agent_runtime::Instant;

/// Device names to attach under, each attempt under the next: one may be taken. Newer instances name the device by
/// themselves.
const DEVICE_NAMES: [&str; 8] = [
    "/dev/sdp", "/dev/sdo", "/dev/sdn", "/dev/sdm", "/dev/sdl", "/dev/sdk", "/dev/sdj", "/dev/sdi",
];
/// An attachment under way for so long is undone, so that the next attempt is made under another name; twice as long the
/// next time.
const UNDO_ATTACHING: Duration = Duration::from_mins(2);
/// How often that time is doubled at most.
const UNDO_DOUBLED_MAX: u32 = 4;

/// What EC2 has said for how long.
#[derive(Debug)]
pub(super) struct AttachmentWatch {
    /// Since when it contradicts the volume that is mounted here.
    contradicted: Patience,
    /// Since when the volume has been attaching, and how many such attachments were undone.
    attaching: Patience,
    undone: u32,
    /// Calls of `AttachVolume` so far.
    attempts: usize,
}

impl AttachmentWatch {
    pub(super) fn new() -> Self {
        Self {
            contradicted: Patience::new(ATTACHMENT),
            attaching: Patience::new(ATTACHING),
            undone: 0,
            attempts: 0,
        }
    }
}

impl VolumeLeaseManager {
    /// What follows from EC2's answer; `None` where it says that the volume is attached here.
    pub(super) async fn step_attachment(
        &mut self,
        volume: &str,
        found: &VolumeState,
        answer: Result<Attachment, VolumeError>,
        volume_use: VolumeUse,
    ) -> Option<HoldStep> {
        let attachment = match answer {
            Ok(attachment) => attachment,
            Err(error) => return Some(self.step_refused(volume, &error, volume_use)),
        };
        if !matches!(&attachment, Attachment::Changing(state) if state == "attaching") {
            self.attachment.attaching.reset();
        }
        if attachment == Attachment::Here {
            (self.attached_at, self.attachment.undone) = (Some(Instant::now()), 0);
            self.attachment.contradicted.reset();
            return None;
        }
        // It may describe what was before the volume came here.
        let relied_on = (self.held || !volume_use.idle) && self.misplaced(volume, found).is_none();
        if relied_on && !self.attachment.contradicted.is_over() {
            let why = format!("EC2 says that {volume} is {attachment}, and it is mounted here");
            return Some(HoldStep::result(Holding::Unknown, why));
        }
        self.attached_at = None;
        Some(match attachment {
            Attachment::Here => return None,
            Attachment::Free => {
                self.lease.give_up();
                self.attach(volume, found, volume_use).await
            }
            Attachment::Elsewhere(instance) => {
                self.lease.give_up();
                self.unmount_leftover(found, volume_use).await;
                self.absent(format!(
                    "{volume} is attached to {instance}, waiting until that gives it back"
                ))
            }
            Attachment::Changing(state) if state == "attaching" => self.step_attaching(volume, volume_use).await,
            Attachment::Changing(state) => {
                // A volume stays "busy", or "detaching", for as long as something has it mounted.
                let mount = self.settings.mount.display().to_string();
                match self.unmount_idle(found, volume_use).await {
                    Ok(_) => self.absent(format!("{volume} is {state}")),
                    Err(error) => self.absent(format!(
                        "end what uses {mount} and unmount it: {volume} is {state} for as long as it is mounted ({error})"
                    )),
                }
            }
        })
    }

    /// EC2 did not say where the volume is. A collator that runs goes on; where none does, a refusal is no passing trouble.
    pub(super) fn step_refused(&self, volume: &str, error: &VolumeError, volume_use: VolumeUse) -> HoldStep {
        if error.class() == ErrorClass::Permanent && volume_use.idle {
            return self.absent(error.to_string());
        }
        let why = format!("the attachment of {volume} is unknown: {error}");
        HoldStep::result(Holding::Unknown, why)
    }

    /// The volume is attaching, which ends within seconds, or never where its device name is taken on this host.
    async fn step_attaching(&mut self, volume: &str, volume_use: VolumeUse) -> HoldStep {
        let waited = self.attachment.attaching.waited();
        if !self.attachment.attaching.is_over() {
            return self.absent(format!("{volume} is attaching"));
        }
        let undo_after = UNDO_ATTACHING * 2_u32.pow(self.attachment.undone.min(UNDO_DOUBLED_MAX));
        let undone = if volume_use.idle && waited >= undo_after {
            self.attachment.undone += 1;
            self.attachment.attaching.reset();
            match self.volumes.detach(volume).await {
                Ok(()) => "it is being detached, for an attempt under another device name".to_owned(),
                Err(error) => format!("it cannot be detached: {error}"),
            }
        } else {
            format!(
                "after {} it is detached, for an attempt under another device name",
                show_duration(undo_after)
            )
        };
        self.absent(format!(
            "reboot this instance if this goes on: {volume} has been attaching for {}; {undone}",
            show_duration(Duration::from_secs(waited.as_secs()))
        ))
    }

    async fn attach(&mut self, volume: &str, found: &VolumeState, volume_use: VolumeUse) -> HoldStep {
        if !volume_use.idle {
            return self.absent(format!("{volume} is not attached to this instance"));
        }
        self.unmount_leftover(found, volume_use).await;
        let name = DEVICE_NAMES[self.attachment.attempts % DEVICE_NAMES.len()];
        self.attachment.attempts += 1;
        match self.volumes.attach(volume, name).await {
            Ok(()) => {
                info!(volume, "attaching the identity");
                HoldStep::result(Holding::Missing, format!("{volume} is being attached"))
            }
            Err(error) => self.absent(format!("{volume} cannot be attached: {error}")),
        }
    }
}
