//! Decides whether the lease on the mounted volume makes it this host's, and writes it.

use std::time::{Duration, Instant};

use tracing::info;

use super::lease::{self, Claim, Lease};
use super::manager::{HoldStep, VolumeLeaseManager};
use agent_core::event::Holding;

/// Time for another host to notice that the volume was taken from it by force, and to stop its collator: it checks every
/// [`super::CHECK_INTERVAL`].
const TAKEOVER_NOTICE: Duration = Duration::from_secs(30);

impl VolumeLeaseManager {
    pub(super) fn read_only(&self) -> HoldStep {
        let mount = self.settings.mount.display();
        let why = format!("{mount} is read-only: look at dmesg, then mount it anew");
        HoldStep::result(Holding::ReadOnly, why)
    }

    /// Takes or renews the lease for `holder`, unless another host may still hold it.
    pub(super) fn claim(&mut self, holder: &str, read_only: bool, found: Option<Lease>, claim: Claim) -> HoldStep {
        let mount = self.settings.mount.display().to_string();
        if read_only {
            return self.read_only();
        }
        let mine = match Lease::of(holder) {
            Ok(mine) => mine,
            Err(error) => return HoldStep::result(Holding::Unknown, format!("no lease can be written: {error}")),
        };
        let ours = found.as_ref().is_some_and(|lease| lease.is_same_holder(&mine));
        let due = claim == Claim::Shared && self.renewed.is_none_or(|at| at.elapsed() >= lease::RENEW);
        if ours && !due {
            return HoldStep::result(Holding::Held, "");
        }
        if let Some(other) = found.filter(|_| !ours) {
            if claim == Claim::Shared && other.is_fresh() {
                return self.absent(format!("{} holds {mount}, its lease is of a moment ago", other.holder));
            }
            let taken = *self.taken.get_or_insert_with(Instant::now);
            if claim == Claim::Exclusive && other.holder != holder && taken.elapsed() < TAKEOVER_NOTICE {
                return self.absent(format!(
                    "{} did not give {mount} back, and gets {} s to notice that it has it no more",
                    other.holder,
                    TAKEOVER_NOTICE.as_secs()
                ));
            }
            info!(holder = other.holder, at = %other.at, "an old lease is taken over");
        }
        match mine.write(&self.settings.mount) {
            Ok(()) => {
                (self.renewed, self.taken) = (Some(Instant::now()), None);
                HoldStep::result(Holding::Held, "")
            }
            // The volume went away in between, or hangs; another host may take it soon.
            Err(error) if ours && self.renewed.is_none_or(|at| at.elapsed() < lease::UNSURE) => {
                let why = format!("the lease in {mount} cannot be renewed: {error}");
                HoldStep::result(Holding::Unknown, why)
            }
            Err(error) => self.absent(format!("no lease can be written to {mount}: {error}")),
        }
    }
}
