//! Decides whether the lease on the mounted volume makes it this host's, and writes it.
//!
//! Clocks of other hosts are never compared: a lease is old when this host has seen it unchanged for [`lease::STALE`]. A host
//! that writes one that was not its own looks again after a pause, in which another that did the same finds that it lost.

use std::time::Duration;

use tracing::info;

use super::lease::{self, Claim, Lease, LeaseFile};
use super::manager::{HoldStep, VolumeLeaseManager};
use agent_core::event::Holding;
use agent_core::units::show_duration;
use agent_runtime::Instant;
use agent_runtime::disk::{self, Disk};

/// Time for another host to notice that the volume was taken from it, and to stop its collator: it checks every
/// [`super::CHECK_INTERVAL`], and stops it within 20 s.
const TAKEOVER_NOTICE: Duration = Duration::from_secs(30);
/// The same where that host's agent may hang: its watchdog ends it after a minute, the next one starts 5 s later.
const TAKEOVER_NOTICE_HUNG: Duration = Duration::from_mins(2);
/// Time for another host that writes its lease at the same moment: more than one check and one write.
const SETTLE: Duration = Duration::from_secs(10);

/// What this host knows of the lease.
#[derive(Debug, Default)]
pub(super) struct LeaseWatch {
    /// When the lease was last written.
    renewed: Option<Instant>,
    /// What lies there that is not ours, and since when it has not changed.
    foreign: Option<(LeaseFile, Instant)>,
    /// Until when this host waits after it wrote a lease.
    settles: Option<Instant>,
    /// The last look found it held.
    sure: bool,
    /// Another host may have taken it since it was last held here: that one has to stop first.
    lost: bool,
}

/// What to do about the lease.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Held,
    Write,
    /// Wait: why, as a clause.
    Wait(String),
}

impl LeaseWatch {
    /// The lease is given up: what was seen before counts no more.
    pub(super) fn give_up(&mut self) {
        *self = Self {
            lost: true,
            ..Self::default()
        };
    }

    /// Whether the lease was written so lately that a holder can rely on it.
    fn is_recent(&self, now: Instant) -> bool {
        self.renewed.is_none_or(|at| now.duration_since(at) < lease::UNSURE)
    }

    fn decide(&mut self, now: Instant, mine: &Lease, found: Option<&LeaseFile>, claim: Claim) -> Decision {
        let theirs = match found {
            Some(LeaseFile::Lease(found)) if found.is_same_holder(mine) => {
                self.foreign = None;
                let due = self.renewed.is_none_or(|at| now.duration_since(at) >= lease::RENEW);
                // A write of before may have got through late.
                let unsettled = !self.sure && self.settles.is_none();
                return if claim == Claim::Shared && (due || unsettled) {
                    Decision::Write
                } else {
                    self.settle(now)
                };
            }
            None => return Decision::Write,
            Some(theirs) => theirs,
        };
        (self.sure, self.settles, self.lost) = (false, None, true);
        let (seen, since) = self.foreign.get_or_insert_with(|| (theirs.clone(), now));
        if seen != theirs && claim == Claim::Shared {
            (*seen, *since) = (theirs.clone(), now);
        }
        let unchanged = now.duration_since(*since);
        let (holder, restarted) = match theirs {
            LeaseFile::Lease(lease) => (lease.holder.as_str(), lease.holder == mine.holder),
            LeaseFile::Unreadable(_) => ("another host, whose lease cannot be read,", false),
        };
        let wait = match claim {
            // This very host before it was booted anew.
            _ if restarted => Duration::ZERO,
            Claim::Shared => lease::STALE,
            Claim::Exclusive => TAKEOVER_NOTICE_HUNG,
        };
        if unchanged >= wait {
            return Decision::Write;
        }
        Decision::Wait(match claim {
            Claim::Shared => format!(
                "{holder} holds it: its lease has not changed for {}, and is old after {}",
                show_duration(Duration::from_secs(unchanged.as_secs())),
                show_duration(wait)
            ),
            Claim::Exclusive => format!(
                "{holder} did not give it back, and gets {} to notice that it has it no more",
                show_duration(wait)
            ),
        })
    }

    /// The lease was written.
    fn wrote(&mut self, now: Instant, claim: Claim) -> Decision {
        self.renewed = Some(now);
        self.foreign = None;
        if claim == Claim::Shared && !self.sure {
            let wait = if self.lost { TAKEOVER_NOTICE } else { SETTLE };
            self.settles.get_or_insert(now + wait);
        }
        self.settle(now)
    }

    fn settle(&mut self, now: Instant) -> Decision {
        if let Some(until) = self.settles.filter(|until| now < *until) {
            let left = show_duration(Duration::from_secs(until.duration_since(now).as_secs() + 1));
            return Decision::Wait(format!("its lease is new, and is looked at again in {left}"));
        }
        (self.settles, self.sure, self.lost) = (None, true, false);
        Decision::Held
    }
}

impl VolumeLeaseManager {
    pub(super) fn read_only(&self) -> HoldStep {
        let mount = self.settings.mount.display();
        let why = format!("{mount} is read-only: look at dmesg, then mount it anew");
        HoldStep::result(Holding::ReadOnly, why)
    }

    /// Takes or renews the lease for `holder`, unless another host may still hold it.
    pub(super) async fn claim(
        &mut self,
        holder: &str,
        read_only: bool,
        found: Option<LeaseFile>,
        claim: Claim,
    ) -> HoldStep {
        if read_only {
            return self.read_only();
        }
        let mine = match Lease::of(holder) {
            Ok(mine) => mine,
            Err(error) => return HoldStep::result(Holding::Unknown, format!("no lease can be written: {error}")),
        };
        let found = found.as_ref();
        let ours = matches!(found, Some(LeaseFile::Lease(lease)) if lease.is_same_holder(&mine));
        let mount = self.settings.mount.display().to_string();
        let decision = match self.lease.decide(Instant::now(), &mine, found, claim) {
            Decision::Write => {
                if let Some(old) = found.filter(|_| !ours) {
                    info!(?old, "an old lease is taken over");
                }
                let (lease, place) = (mine.clone(), self.settings.mount.clone());
                match disk::run_io(Disk::Identity, move || lease.write(&place)).await {
                    Ok(()) => self.lease.wrote(Instant::now(), claim),
                    // The volume went away in between, or hangs; another host may take it soon.
                    Err(error) if ours && self.lease.is_recent(Instant::now()) => {
                        let why = format!("the lease in {mount} cannot be renewed: {error}");
                        return HoldStep::result(Holding::Unknown, why);
                    }
                    Err(error) => {
                        self.lease.give_up();
                        return self.absent(format!("no lease can be written to {mount}: {error}"));
                    }
                }
            }
            decided => decided,
        };
        match decision {
            Decision::Held => HoldStep::result(Holding::Held, ""),
            Decision::Wait(why) if ours || found.is_none() || self.lease.settles.is_some() => {
                HoldStep::result(Holding::Unknown, format!("{mount}: {why}"))
            }
            Decision::Wait(why) => self.absent(format!("{mount}: {why}")),
            Decision::Write => HoldStep::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn lease(holder: &str) -> LeaseFile {
        LeaseFile::Lease(Lease::of(holder).unwrap())
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn waits(decision: &Decision) -> bool {
        matches!(decision, Decision::Wait(_))
    }

    #[test]
    fn lease_that_changes_is_never_old_whatever_its_clock_says() {
        let (mut watch, mine, start) = (LeaseWatch::default(), Lease::of("b").unwrap(), Instant::now());
        for round in 0..100 {
            let LeaseFile::Lease(mut theirs) = lease("a") else {
                panic!()
            };
            theirs.at = jiff::Timestamp::from_second(1_000 - 20 * round).unwrap();
            let now = start + seconds(20 * u64::try_from(round).unwrap());
            let found = LeaseFile::Lease(theirs);
            assert!(waits(&watch.decide(now, &mine, Some(&found), Claim::Shared)));
        }
    }

    #[test]
    fn unchanged_lease_is_old_after_the_watch_and_the_new_one_settles() {
        for theirs in [lease("a"), LeaseFile::Unreadable("{".to_owned())] {
            let (mut watch, mine, start) = (LeaseWatch::default(), Lease::of("b").unwrap(), Instant::now());
            assert!(waits(&watch.decide(start, &mine, Some(&theirs), Claim::Shared)));
            let later = start + lease::STALE;
            assert!(waits(&watch.decide(
                start + seconds(89),
                &mine,
                Some(&theirs),
                Claim::Shared
            )));
            assert_eq!(
                watch.decide(later, &mine, Some(&theirs), Claim::Shared),
                Decision::Write
            );
            assert!(waits(&watch.wrote(later, Claim::Shared)));
            let ours = LeaseFile::Lease(mine.clone());
            let settled = later + TAKEOVER_NOTICE;
            assert!(!matches!(
                watch.decide(later + seconds(29), &mine, Some(&ours), Claim::Shared),
                Decision::Held
            ));
            watch.wrote(later + seconds(29), Claim::Shared);
            assert_eq!(watch.decide(settled, &mine, Some(&ours), Claim::Shared), Decision::Held);
        }
    }

    #[test]
    fn holder_that_finds_another_lease_has_lost_and_settles_before_it_holds_again() {
        let (mut watch, mine, start) = (LeaseWatch::default(), Lease::of("a").unwrap(), Instant::now());
        let ours = LeaseFile::Lease(mine.clone());
        watch.wrote(start, Claim::Shared);
        let now = start + SETTLE;
        assert_eq!(watch.decide(now, &mine, Some(&ours), Claim::Shared), Decision::Held);
        assert!(waits(&watch.decide(now, &mine, Some(&lease("b")), Claim::Shared)));
        // A write of before that got through late.
        watch.wrote(now, Claim::Shared);
        assert!(waits(&watch.decide(now, &mine, Some(&ours), Claim::Shared)));
    }

    #[test]
    fn lease_that_comes_back_after_a_loss_is_not_held_before_the_other_host_has_stopped() {
        for gives_up in [false, true] {
            let (mut watch, mine, start) = (LeaseWatch::default(), Lease::of("a").unwrap(), Instant::now());
            let ours = LeaseFile::Lease(mine.clone());
            watch.wrote(start, Claim::Shared);
            let now = start + SETTLE;
            assert_eq!(watch.decide(now, &mine, Some(&ours), Claim::Shared), Decision::Held);
            if gives_up {
                watch.give_up();
            } else {
                assert!(waits(&watch.decide(now, &mine, Some(&lease("b")), Claim::Shared)));
            }
            // A write of before gets through late, over the other host's lease.
            for second in 1..30 {
                let now = now + seconds(second);
                let decision = match watch.decide(now, &mine, Some(&ours), Claim::Shared) {
                    Decision::Write => watch.wrote(now, Claim::Shared),
                    decision => decision,
                };
                assert!(waits(&decision), "after {second} s");
            }
        }
    }

    #[test]
    fn two_that_write_at_one_moment_never_hold_both() {
        let (a, b, start) = (Lease::of("a").unwrap(), Lease::of("b").unwrap(), Instant::now());
        let (mut of_a, mut of_b) = (LeaseWatch::default(), LeaseWatch::default());
        assert_eq!(of_a.decide(start, &a, None, Claim::Shared), Decision::Write);
        assert_eq!(of_b.decide(start, &b, None, Claim::Shared), Decision::Write);
        assert!(waits(&of_a.wrote(start, Claim::Shared)));
        assert!(waits(&of_b.wrote(start, Claim::Shared)));
        let last = LeaseFile::Lease(b.clone());
        let now = start + SETTLE;
        assert!(waits(&of_a.decide(now, &a, Some(&last), Claim::Shared)));
        assert_eq!(of_b.decide(now, &b, Some(&last), Claim::Shared), Decision::Held);
    }

    #[test]
    fn single_attachment_takes_a_lease_that_was_not_given_back_after_a_notice() {
        let (mut watch, mine, start) = (LeaseWatch::default(), Lease::of("b").unwrap(), Instant::now());
        let theirs = lease("a");
        assert!(waits(&watch.decide(start, &mine, Some(&theirs), Claim::Exclusive)));
        let later = start + TAKEOVER_NOTICE_HUNG;
        assert!(waits(&watch.decide(
            later - seconds(1),
            &mine,
            Some(&theirs),
            Claim::Exclusive
        )));
        assert_eq!(
            watch.decide(later, &mine, Some(&theirs), Claim::Exclusive),
            Decision::Write
        );
        assert_eq!(watch.wrote(later, Claim::Exclusive), Decision::Held);
    }
}
