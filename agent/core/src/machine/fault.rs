//! What is known about the two chains, the container's work and the host, and the fault that follows.

use std::collections::BTreeMap;
use std::time::Duration;

use strum::VariantArray as _;

use super::{Action, Cause, ContainerState, Machine};
use crate::chain_health::{ChainTracker, Context, ExcusableDuration, Opinion, Verdict};
use crate::event::{Chain, HostFacts, Sample, ScrapeError, Time};
use crate::informant::{self, Informant};

/// How many times its window a container at work may be without any exporter: to open a database, and while it runs.
const STARTUP_EXTENSION: u32 = 24;
const SILENCE_EXTENSION: u32 = 15;
/// By how much the window of silence is longer while a restart would throw everything away.
const UNPERSISTED_SILENCE: u32 = 5;
/// Reports of the host further apart say nothing about the time between them.
const HOST_GAP: Duration = Duration::from_mins(6);
/// By how much the window of finality is longer without a reference: the whole network may stand.
const FINALITY_ALONE: u32 = 8;

/// A fault that a restart might cure, due or still growing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) cause: Cause,
    /// The chain that has it; `None` is the whole node.
    pub(super) chain: Option<Chain>,
    pub(super) lasted: Duration,
    /// How long it has to last before it is believed.
    pub(super) window: Duration,
}

impl Fault {
    pub(super) fn is_due(&self) -> bool {
        self.lasted >= self.window
    }
}

/// What the evidence says about each chain at one moment; `None` where a chain has no exporter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdicts([Option<Verdict>; 2]);

impl Verdicts {
    pub(super) fn of(self, chain: Chain) -> Verdict {
        self.0[chain as usize].unwrap_or(Verdict::Unknown)
    }

    /// The chains that have an exporter.
    pub(super) fn iter(self) -> impl DoubleEndedIterator<Item = (Chain, Verdict)> {
        let known = move |chain: Chain| Some((chain, self.0[chain as usize]?));
        Chain::VARIANTS.iter().copied().filter_map(known)
    }
}

impl Machine {
    pub(super) fn on_sample(&mut self, now: Time, chain: Chain, sample: Sample, actions: &mut Vec<Action>) {
        if self.state.seen == ContainerState::Unknown {
            // A trace may begin with samples: something runs.
            self.state.seen = ContainerState::Running;
            self.state.observed = true;
            self.state.up_since = Some(now);
        }
        self.state.unconfirmed_until = None;
        let context = self.context(now, chain);
        let windows = self.policy.windows_of(chain);
        let Some(tracker) = self.state.trackers.get_mut(&chain) else {
            return;
        };
        let progress = tracker.observe(now, sample, &windows, context);
        tracker
            .finality
            .judge(self.policy.finality_after, tracker.heights.finalized);
        let (best, finalized) = (tracker.heights.best, tracker.heights.finalized);
        if chain == Chain::Parachain {
            self.count_collation(now);
        }
        // While a restart is under way, the old process may still be heard: that is no help of the new one.
        if self.state.in_flight.is_some() {
            return;
        }
        if self.state.restart_budget.exporter_answers() {
            actions.push(Action::Judged {
                cause: Cause::NoExporter,
                helped: true,
            });
        }
        if progress {
            self.state.update.note_progress(chain);
            for cause in self.state.restart_budget.moved(chain, best, finalized) {
                actions.push(Action::Judged { cause, helped: true });
            }
        }
    }

    /// Counts whether the parachain's newest sample shows a block that was built here.
    fn count_collation(&mut self, now: Time) {
        let synced = self.verdict(now, Chain::Parachain) == Verdict::Synced;
        let Self { policy, state } = self;
        if let Some(sample) = state.trackers.get(&Chain::Parachain).and_then(ChainTracker::sample) {
            state.collation.observe(now, sample, synced, policy.no_collation_after);
        }
    }

    /// The newest lines of the running node's log: the phase of its synchronisation.
    pub(super) fn on_log(&mut self, now: Time, lines: &[String]) {
        let newest: BTreeMap<Chain, Informant> = informant::by_chain(lines, &self.policy.chains).collect();
        for (chain, informant) in &newest {
            if let Some(tracker) = self.state.trackers.get_mut(chain) {
                tracker.note_informant(now, informant);
            }
        }
        let signatures = &self.policy.signatures;
        self.state.names_other_chain |= lines.iter().any(|line| signatures.names_other_chain(line));
    }

    pub(super) fn on_miss(&mut self, now: Time, chain: Chain, error: ScrapeError) {
        let context = self.context(now, chain);
        if let Some(tracker) = self.state.trackers.get_mut(&chain) {
            tracker.miss(now, error, &self.policy.windows, context);
        }
    }

    pub(super) fn on_host(&mut self, facts: HostFacts) {
        let floor = self.policy.disk_floor;
        // A file system without a size is none: nothing is known of its room.
        match facts.disk_free_bytes.filter(|_| facts.disk_total_bytes != Some(0)) {
            Some(free) if free < floor => self.state.disk_stop = true,
            // Half the floor more than the floor: no start that is stopped at once.
            Some(free) if free >= floor.saturating_add(floor / 2) => self.on_room(),
            _ => {}
        }
        let now = self.state.now;
        let before = self.state.network_down.filter(|(_, seen)| now.since(*seen) < HOST_GAP);
        let since = before.map_or(now, |(since, _)| since);
        self.state.network_down = (facts.network_ok == Some(false)).then_some((since, now));
        self.state.host = facts;
    }

    /// There is room on the disk (again).
    fn on_room(&mut self) {
        let state = &mut self.state;
        if !std::mem::replace(&mut state.disk_stop, false) {
            return;
        }
        if state.hold == Some(Cause::DiskFull) {
            state.hold = None;
        }
        if !state.seen.is_up() {
            state.stop_cause = Some(Cause::DiskFreed);
        }
    }

    /// The gravest fault that is due, else one that is growing.
    pub(super) fn fault(&self, verdicts: Verdicts) -> Option<Fault> {
        let silent = self.silent();
        if silent.as_ref().is_some_and(Fault::is_due) {
            return silent;
        }
        let standing = self.isolated(verdicts).or_else(|| self.stalled(verdicts));
        standing.or(silent).or_else(|| self.finality())
    }

    fn silent(&self) -> Option<Fault> {
        let Self { policy, state } = self;
        let answered = state.trackers.values().any(|tracker| tracker.answered);
        // An exporter that was not scraped yet, or never answered while another did, is no evidence.
        let asked = state
            .trackers
            .values()
            .filter(|t| if answered { t.answered } else { t.last_error().is_some() });
        let silence: Option<Vec<_>> = asked.map(|tracker| tracker.silent).collect();
        let shortest = silence.and_then(|all| all.into_iter().min_by_key(|silent| silent.total()));
        let silent = shortest?;
        let (cause, (lasted, window)) = if answered {
            let unpersisted = state.trackers.values().any(ChainTracker::is_unpersisted);
            let window = policy.frozen_after * if unpersisted { UNPERSISTED_SILENCE } else { 1 };
            (Cause::Frozen, silent.effective(window, SILENCE_EXTENSION))
        } else {
            let effective = silent.effective(policy.startup_grace, STARTUP_EXTENSION);
            (Cause::NoExporter, effective)
        };
        Some(Fault {
            cause,
            chain: None,
            lasted,
            window,
        })
    }

    /// Whether no exporter has answered for longer than a start may take, mostly because the node is at work.
    pub(super) fn starts_slowly(&self, fault: &Fault) -> bool {
        let grace = self.policy.startup_grace;
        let silences = self.state.trackers.values().filter_map(|tracker| tracker.silent);
        let lasted = silences.map(ExcusableDuration::total).min().unwrap_or_default();
        let works = fault.window > grace || fault.lasted * 2 <= lasted;
        // A new life of the agent sees it begin anew.
        let known = self.state.active_problems.contains(&Cause::SlowStart);
        fault.cause == Cause::NoExporter && !fault.is_due() && works && (known || lasted >= grace)
    }

    fn isolated(&self, verdicts: Verdicts) -> Option<Fault> {
        let Self { policy, state } = self;
        let windows = &policy.windows;
        let network_in_doubt = match state.host.network_ok {
            Some(true) => false,
            Some(false) => return None,
            // Without any facts about the host there is no evidence that could be in doubt.
            None => state.host != HostFacts::default(),
        };
        let is_fault =
            |(chain, verdict): &(Chain, Verdict)| *verdict == Verdict::Isolated && !self.blocks_arrive_beside(*chain);
        let (chain, _) = verdicts.iter().find(is_fault)?;
        let tracker = state.trackers.get(&chain)?;
        let doubt = if network_in_doubt {
            windows.activity_extension.max(1)
        } else {
            1
        };
        let window = tracker
            .peers
            .isolation_window(windows.isolated_after)
            .saturating_mul(doubt);
        Some(Fault {
            cause: Cause::Isolated,
            chain: Some(chain),
            lasted: tracker.peers.isolated_for,
            window: if tracker.is_unpersisted() {
                window.max(windows.unpersisted_after)
            } else {
                window
            },
        })
    }

    /// Whether a relay chain without peers does no harm yet: the parachain's blocks still arrive.
    pub(super) fn blocks_arrive_beside(&self, chain: Chain) -> bool {
        let parachain = self.state.trackers.get(&Chain::Parachain);
        chain == Chain::Relaychain && parachain.is_some_and(|t| t.progressing(self.policy.windows.isolated_after))
    }

    fn stalled(&self, verdicts: Verdicts) -> Option<Fault> {
        let windows = &self.policy.windows;
        // The relay chain first: while it stands still, the parachain's own standstill proves less.
        let (chain, _) = verdicts.iter().rfind(|(_, verdict)| *verdict == Verdict::Stalled)?;
        let tracker = self.state.trackers.get(&chain)?;
        let (lasted, window) = tracker.standstill(windows, self.opinion(self.state.now, chain));
        Some(Fault {
            cause: Cause::Stalled,
            chain: Some(chain),
            lasted,
            window,
        })
    }

    /// Finality that stands still for long enough that a restart may be tried.
    fn finality(&self) -> Option<Fault> {
        let of = |(chain, tracker): (&Chain, &ChainTracker)| {
            let windows = match self.opinion_of_finality(self.state.now, self.leads_finality_of(*chain)) {
                Opinion::Ahead => 1,
                Opinion::Unknown => FINALITY_ALONE,
                Opinion::Level => return None,
            };
            Some(Fault {
                cause: Cause::FinalityStalled,
                chain: Some(*chain),
                lasted: tracker.finality.still,
                window: self.policy.finality_after * windows,
            })
        };
        // The relay chain first: the parachain's finality follows it.
        self.state.trackers.iter().rev().filter_map(of).find(Fault::is_due)
    }

    /// The chain whose finality that of `chain` waits for: a parachain is final where its relay chain is.
    pub(super) fn leads_finality_of(&self, chain: Chain) -> Chain {
        let relay = self.state.trackers.get(&Chain::Relaychain);
        match relay.map(|relay| relay.finality.still >= self.policy.finality_after / 2) {
            Some(true) => Chain::Relaychain,
            _ => chain,
        }
    }

    /// What the evidence says about one chain, the other chain and the host considered.
    pub fn verdict(&self, now: Time, chain: Chain) -> Verdict {
        self.verdicts(now).of(chain)
    }

    pub(super) fn verdicts(&self, now: Time) -> Verdicts {
        let young = self.is_young(now);
        let of = |chain: Chain, context: Context| {
            let tracker = self.state.trackers.get(&chain)?;
            Some(if young && !tracker.answered {
                Verdict::Starting
            } else {
                tracker.verdict(now, &self.policy.windows_of(chain), context)
            })
        };
        Verdicts([
            of(Chain::Parachain, self.context(now, Chain::Parachain)),
            of(Chain::Relaychain, self.context(now, Chain::Relaychain)),
        ])
    }

    /// Whether a chain lacks blocks by its newest sample.
    pub(super) fn lags_behind(&self, now: Time) -> bool {
        let lags = |(chain, tracker): (&Chain, &ChainTracker)| {
            tracker.is_behind(&self.policy.windows_of(*chain), self.context(now, *chain)) == Some(true)
        };
        self.state.trackers.iter().any(lags)
    }

    pub(super) fn is_young(&self, now: Time) -> bool {
        let up = self.state.up_since.filter(|_| self.state.seen.is_up());
        up.is_some_and(|since| now.since(since) < self.policy.startup_grace)
    }

    fn context(&self, now: Time, chain: Chain) -> Context {
        let windows = &self.policy.windows;
        let mut others = self.state.trackers.iter().filter(|(other, _)| **other != chain);
        let opens = !self.state.trackers.values().any(|tracker| tracker.answered);
        let alone = Context {
            network_down: self.state.host.network_ok == Some(false),
            busy: self.is_busy(),
            uses_cpu: self.work().uses_cpu(opens),
            moves_disk: self.moves_disk(opens),
            others_silent: self.state.trackers.len() > 1 && others.all(|(_, tracker)| tracker.silent.is_some()),
            finalizes: self.opinion_of_finality(now, chain) == Opinion::Ahead,
            opinion: self.opinion(now, chain),
            ..Context::default()
        };
        match self.state.trackers.get(&Chain::Relaychain) {
            Some(relay) if chain == Chain::Parachain => {
                let of_relay = Context {
                    opinion: self.opinion(now, Chain::Relaychain),
                    ..alone
                };
                let verdict = relay.verdict(now, windows, of_relay);
                Context {
                    relay_syncing: verdict == Verdict::Syncing && relay.is_far_behind(windows, of_relay),
                    relay_still: verdict != Verdict::Unknown && !relay.progressing(windows.stall_after / 2),
                    finalizes: alone.finalizes || relay.heights.finalized > Some(0),
                    ..alone
                }
            }
            _ => alone,
        }
    }
}
