//! An update of the image: pulled and inspected, started, observed, and kept or rolled back.
//!
//! ```text
//!   pulling ──▶ stopping ──▶ starting ──▶ probation ──▶ done
//!      │            │            │            │
//!      ▼            ▼            └─────┬──────┘
//!   failed, nothing changed            ▼
//!                                rolling back ──▶ restoring ──▶ rolled back
//!                                      │
//!                                      └── its database was migrated ──▶ held
//! ```
//!
//! Each step is on disk before it is done, and doing it twice does no harm: the agent that goes on after a kill begins the
//! step anew. The collator is judged by the same evidence as ever; in probation a fault that would have cost a
//! restart takes the image back instead.

mod probation;
mod transitions;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::{Cause, Machine};
use crate::event::{Chain, Image, Images, Time, Versions};

const KEPT: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum UpdateStep {
    Pulling,
    Stopping,
    Starting,
    Probation,
    RollingBack,
    Restoring,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum UpdateResult {
    /// The new image makes progress.
    Done,
    /// It runs, and nothing speaks against it or for it.
    NotProven,
    /// It is the image that ran before.
    Unchanged,
    /// Given up before anything was changed.
    Failed,
    RolledBack,
    /// It failed and cannot be taken back: the collator is kept stopped.
    Held,
    /// The configuration names another image by now.
    Superseded,
}

impl UpdateResult {
    pub fn cause(self) -> Cause {
        match self {
            Self::Done | Self::NotProven | Self::Unchanged | Self::Superseded => Cause::Update,
            Self::Failed | Self::RolledBack | Self::Held => Cause::UpdateFailed,
        }
    }

    pub fn is_success(self) -> bool {
        matches!(self, Self::Done | Self::NotProven | Self::Unchanged)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedUpdate {
    /// As it was asked for.
    pub image: String,
    /// The images, as far as it came.
    pub images: Option<Images>,
    pub result: UpdateResult,
    pub reason: Option<String>,
    pub began: Time,
    pub ended: Time,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateProgress<'a> {
    pub image: &'a str,
    pub images: Option<&'a Images>,
    pub step: UpdateStep,
    pub began: Time,
    /// What is left of the probation.
    pub left: Option<Duration>,
    pub reason: Option<&'a str>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct UpdateState {
    running: Option<ActiveUpdate>,
    pinned: Option<Pinned>,
    past: VecDeque<CompletedUpdate>,
}

/// The image that an update left behind, for as long as the configuration says what it said then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pinned {
    configured: String,
    image: Image,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ActiveUpdate {
    image: String,
    automatic: bool,
    /// The configured image when it began.
    configured: String,
    began: Time,
    step: UpdateStep,
    images: Option<Images>,
    /// The databases before the new image ran.
    before: Option<Versions>,
    /// The databases as last read.
    read: Option<Versions>,
    /// Chains that moved before.
    moved_before: BTreeSet<Chain>,
    was_isolated: bool,
    probation: Probation,
    reason: Option<String>,
    /// The pull is under way in this life of the agent.
    ordered: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Probation {
    observed: Duration,
    /// Until when it was watched.
    watched: Option<Time>,
    extensions: u32,
    moved: BTreeSet<Chain>,
    /// The new image's process ended by itself: how.
    crash: Option<String>,
}

impl UpdateState {
    fn step(&self) -> Option<UpdateStep> {
        self.running.as_ref().map(|running| running.step)
    }

    pub(super) fn is_on_probation(&self) -> bool {
        self.step() == Some(UpdateStep::Probation)
    }

    pub(super) fn goes_back(&self) -> bool {
        matches!(self.step(), Some(UpdateStep::RollingBack | UpdateStep::Restoring))
    }

    /// Whether the container is being replaced, so that what else is known says little.
    pub(super) fn is_at_work(&self) -> bool {
        self.step().is_some_and(|step| step != UpdateStep::Pulling)
    }

    /// The databases as they are at rest.
    pub(super) fn note(&mut self, versions: Versions) {
        if let Some(running) = &mut self.running {
            running.read = Some(versions);
        }
    }

    pub(super) fn note_progress(&mut self, chain: Chain) {
        if let Some(running) = self.running.as_mut().filter(|r| r.step == UpdateStep::Probation) {
            running.probation.moved.insert(chain);
        }
    }

    /// The collator ended by itself.
    pub(super) fn note_crash(&mut self, code: Option<i64>, cause: Option<Cause>) {
        let new = |r: &&mut ActiveUpdate| matches!(r.step, UpdateStep::Starting | UpdateStep::Probation);
        if let Some(running) = self.running.as_mut().filter(new) {
            let code = code.map_or_else(|| "an unknown code".to_owned(), |code| format!("code {code}"));
            let cause = cause.map(|cause| format!(" ({})", cause.into_str().replace('_', " ")));
            running.probation.crash = Some(format!("it exited with {code}{}", cause.unwrap_or_default()));
        }
    }

    fn remember(&mut self, past: CompletedUpdate) {
        self.past.push_back(past);
        while self.past.len() > KEPT {
            self.past.pop_front();
        }
    }

    /// Whether this very image was taken back before; `pin` may be its digest alone.
    fn was_refused(&self, pin: &str) -> bool {
        let refused = |past: &&CompletedUpdate| matches!(past.result, UpdateResult::RolledBack | UpdateResult::Held);
        let mut pins = self.past.iter().filter(refused).filter_map(|past| past.images.as_ref());
        pins.any(|images| images.to.pin.ends_with(pin))
    }
}

impl Machine {
    /// The image to run instead of the configured one.
    pub fn image(&self) -> Option<&Image> {
        self.state.update.pinned.as_ref().map(|pinned| &pinned.image)
    }

    pub fn update(&self) -> Option<UpdateProgress<'_>> {
        let running = self.state.update.running.as_ref()?;
        let length = self.policy.probation * (running.probation.extensions + 1);
        Some(UpdateProgress {
            image: &running.image,
            images: running.images.as_ref(),
            step: running.step,
            began: running.began,
            left: (running.step == UpdateStep::Probation).then(|| length.saturating_sub(running.probation.observed)),
            reason: running.reason.as_deref(),
        })
    }

    /// Updates that are over, the newest last; at most ten.
    pub fn past_updates(&self) -> impl DoubleEndedIterator<Item = &CompletedUpdate> {
        self.state.update.past.iter()
    }

    /// Names of images that a rollback may need, now or by hand.
    pub fn kept_images(&self) -> impl Iterator<Item = &Image> {
        let UpdateState { running, pinned, past } = &self.state.update;
        let running = running.as_ref().and_then(|running| running.images.as_ref());
        let last = past.iter().rev().find_map(|past| past.images.as_ref());
        let both = running.into_iter().flat_map(|images| [&images.from, &images.to]);
        both.chain(last.map(|images| &images.from))
            .chain(pinned.as_ref().map(|pinned| &pinned.image))
    }

    /// Whether an automatic update to the image of that digest makes sense: nothing speaks against one,
    /// and this image was not taken back before.
    pub fn may_update_to(&self, digest: &str) -> bool {
        self.refuses_update().is_none() && !self.state.update.was_refused(digest)
    }
}
