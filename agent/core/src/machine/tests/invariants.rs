//! What may never happen, checked from the events alone: a second, simpler memory beside the core's own.

use std::collections::BTreeMap;
use std::time::Duration;

use strum::VariantArray as _;

use crate::chain_health::{BLINK, Verdict};
use crate::event::{ActionFailure, Chain, Command, Container, Event, Holding, NoticeKind, Outcome, Time};
use crate::machine::{Action, Cause, Machine};

/// One chain as seen through the events.
#[derive(Debug, Default)]
struct ContainerState {
    best: Option<u64>,
    finalized: Option<u64>,
    imported: Option<u64>,
    /// Last rise of any of them above all of this run.
    rose_at: Option<Time>,
    sampled_at: Option<Time>,
    /// Time with peers since there were none, and when it last was more than a blink; or blocks came without.
    company: Duration,
    company_at: Option<Time>,
}

#[derive(Debug, Default)]
pub(super) struct InvariantChecker {
    chains: BTreeMap<Chain, ContainerState>,
    last_event: Option<Time>,
    /// End of the last time that nobody watched.
    gap_at: Option<Time>,
    paused_until: Option<Time>,
    stopped: bool,
    held: Option<Cause>,
    disk_low: bool,
    docker_down: bool,
    docker_back: Option<Time>,
    network_down_at: Option<Time>,
    /// Since when the host's network has been down.
    network_down: Option<Time>,
    up_since: Option<Time>,
    /// Run that the newest news of a running container named.
    run: Option<i64>,
    in_flight: Option<Action>,
    /// What EC2 announced that ends a run.
    ending: Option<NoticeKind>,
    /// It did so to an earlier life, and has not spoken since.
    is_rumour: bool,
    holding: Option<Holding>,
    /// Health restarts that were not refused by an absent Docker.
    spent: Vec<Time>,
    /// Restarts for a cause since it last helped or was forgiven.
    tries: BTreeMap<Cause, u32>,
    pub(super) health_restarts: u32,
}

impl InvariantChecker {
    pub(super) fn agent_died(&mut self, now: Time) {
        self.gap_at = Some(now);
        self.in_flight = None;
        self.last_event = Some(now);
        self.is_rumour = true;
    }

    pub(super) fn check(&mut self, now: Time, event: &Event, actions: &[Action], machine: &Machine) {
        self.learn(now, event, machine);
        assert!(
            machine.next_deadline().is_none_or(|due| due > now),
            "a deadline in the past"
        );
        for action in actions {
            match action {
                Action::Notify { .. }
                | Action::Pull { .. }
                | Action::Updated { .. }
                | Action::ReleaseIdentity { .. }
                | Action::HoldIdentity
                | Action::AnswerLifecycle { .. } => {}
                Action::Judged { cause, helped } => {
                    if *helped {
                        self.tries.remove(cause);
                    }
                }
                deed => {
                    self.judge(now, deed, machine);
                    self.in_flight = Some(deed.clone());
                }
            }
        }
        // What is told can always be put into words.
        let told = (machine.phase(), machine.health(), machine.next());
        assert_eq!(told, (machine.phase(), machine.health(), machine.next()));
        assert!(machine.problems().iter().all(|p| !p.text.is_empty()));
    }

    fn learn(&mut self, now: Time, event: &Event, machine: &Machine) {
        let gap = machine.policy.windows.gap_after;
        if *event == Event::Gap || self.last_event.is_some_and(|last| now.since(last) > gap) {
            self.gap_at = Some(now);
        }
        self.last_event = Some(now);
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
        }
        match event {
            Event::Sample { chain, sample } => {
                let seen = self.chains.entry(*chain).or_default();
                let rose = |high: &mut Option<u64>, height: Option<u64>| {
                    let rose = matches!((*high, height), (Some(before), Some(now)) if now > before);
                    *high = (*high).max(height);
                    rose
                };
                let best = rose(&mut seen.best, sample.best);
                let finalized = rose(&mut seen.finalized, sample.finalized);
                let imported = rose(&mut seen.imported, sample.imported_total);
                if best || finalized || imported {
                    seen.rose_at = Some(now);
                }
                let passed = seen.sampled_at.replace(now).map(|at| now.since(at));
                match sample.peers {
                    Some(0) => seen.company = Duration::ZERO,
                    Some(_) => seen.company += passed.unwrap_or_default(),
                    None => {}
                }
                let windows = &machine.policy.windows;
                if best || finalized || imported || seen.company >= windows.isolated_after / BLINK {
                    seen.company_at = Some(now);
                }
                if self
                    .network_down
                    .is_some_and(|since| now.since(since) >= windows.stall_after / BLINK * 2)
                {
                    self.network_down_at = Some(now);
                }
            }
            Event::Host(facts) => {
                let down = facts.network_ok == Some(false);
                self.network_down = down.then(|| self.network_down.unwrap_or(now));
                let floor = machine.policy.disk_floor;
                if self.disk_low && facts.disk_free_bytes.is_some_and(|free| free >= floor + floor / 2) {
                    self.disk_low = false;
                    self.held = self.held.filter(|cause| *cause != Cause::DiskFull);
                }
                self.disk_low |= facts.disk_free_bytes.is_some_and(|free| free < floor);
            }
            Event::Docker { reachable } => self.docker(now, *reachable),
            Event::Operator(command) => self.command(now, command),
            Event::Container(news) => {
                self.docker(now, true);
                self.container(now, news);
            }
            Event::Finished(outcome) => self.finished(now, outcome),
            Event::Ec2(notice) => {
                self.ending = notice.map(|n| n.kind).filter(|kind| *kind >= NoticeKind::ScheduledStop);
                self.is_rumour = false;
            }
            Event::Identity(identity) => self.holding = Some(identity.holding),
            Event::ScrapeFailed { .. }
            | Event::Activity(_)
            | Event::Certificate(_)
            | Event::CertificateUnreadable(_)
            | Event::Shared(_)
            | Event::Altered(_)
            | Event::IdentityReleased
            | Event::StateUnsaved(_)
            | Event::StateSetAside(_)
            | Event::RecordsUnsaved(_)
            | Event::DisksStalled(_)
            | Event::ClockStepped { .. }
            | Event::Configuration { .. }
            | Event::ConfigurationRefused(_)
            | Event::Pulled(_)
            | Event::Databases(_)
            | Event::Gap
            | Event::Log(_)
            | Event::Reference { .. }
            | Event::Tick => {}
        }
    }

    fn docker(&mut self, now: Time, reachable: bool) {
        if self.docker_down && reachable {
            self.docker_back = Some(now);
        }
        self.docker_down = !reachable;
    }

    fn command(&mut self, now: Time, command: &Command) {
        match command {
            Command::Stop { .. } => self.stopped = true,
            Command::Start { .. } | Command::Restart { .. } => {
                (self.stopped, self.held) = (false, None);
                self.tries.clear();
            }
            Command::Pause { seconds, .. } => self.paused_until = Some(now + Duration::from_secs(*seconds)),
            Command::Resume => {
                self.paused_until = None;
                self.tries.clear();
            }
            Command::Update { .. } => {}
        }
    }

    fn container(&mut self, now: Time, news: &Container) {
        if let Container::Running { started_at, .. } | Container::Paused { started_at, .. } = news
            && (self.up_since.is_none() || *started_at > self.run)
        {
            self.run = *started_at;
            self.up_since = Some(now);
            self.chains.clear();
            // Somebody may have started by hand what was stopped or held, which says that it is mended.
            if self.held.is_some() {
                self.tries.clear();
            }
            (self.stopped, self.held) = (false, None);
        }
    }

    fn finished(&mut self, now: Time, outcome: &Outcome) {
        let action = self.in_flight.take();
        match (outcome, action) {
            (Outcome::Done { container, .. }, Some(_)) => {
                self.docker(now, true);
                let (stopped, held) = (self.stopped, self.held.take());
                self.container(now, container);
                (self.stopped, self.held) = (stopped, held);
                if !matches!(container, Container::Running { .. }) {
                    self.up_since = None;
                }
            }
            (Outcome::Failed { kind, .. }, Some(action)) => {
                if *kind == ActionFailure::DockerUnreachable {
                    self.docker(now, false);
                    if let Action::Restart { cause, .. } = action
                        && Cause::HEALTH.contains(&cause)
                    {
                        self.spent.pop();
                        self.tries.entry(cause).and_modify(|n| *n -= 1);
                    }
                }
            }
            (_, None) => {}
        }
    }

    /// Whether `deed` is the stop for want of the keys, which outranks what anybody wishes; without them nothing starts.
    fn keeps_keys_safe(&self, deed: &Action, machine: &Machine) -> bool {
        if matches!(deed, Action::StopWithin { cause, .. } if [Cause::IdentityMissing, Cause::IdentityLost].contains(cause))
        {
            let gone = [Holding::Missing, Holding::Lost, Holding::ReadOnly];
            assert!(self.holding.is_some_and(|h| gone.contains(&h)), "{deed:?} with keys");
            return true;
        }
        let keyed = match deed {
            Action::Start { spec, .. } | Action::Restart { spec, .. } => spec.keys,
            _ => false,
        };
        assert!(
            !keyed || machine.policy.identity.is_none() || self.holding == Some(Holding::Held),
            "{deed:?} without keys"
        );
        false
    }

    /// Whether `deed` is the stop that a notice calls for.
    fn leaves_in_time(&self, deed: &Action) -> bool {
        let Action::StopWithin { cause, seconds } = deed else {
            return false;
        };
        assert_eq!(
            self.ending.map(NoticeKind::cause),
            Some(*cause),
            "{deed:?} without a notice"
        );
        assert!(*seconds > 0, "docker would kill it at once");
        true
    }

    /// Whether `deed` may be done now.
    fn judge(&mut self, now: Time, deed: &Action, machine: &Machine) {
        assert_eq!(self.in_flight, None, "two actions at a time: {deed:?}");
        assert!(!self.docker_down, "{deed:?} without Docker");
        if self.keeps_keys_safe(deed, machine) || self.leaves_in_time(deed) {
            return;
        }
        // A scheduled stop may lie far ahead.
        // What an earlier life knew starts nothing, and lets people stop what runs.
        let stops = matches!(deed, Action::Stop { .. } | Action::Hold { .. });
        assert!(
            self.ending <= Some(NoticeKind::ScheduledStop) || (self.is_rumour && stops),
            "{deed:?} in an instance that ends"
        );
        let by_operator = matches!(
            deed,
            Action::Stop { cause: Cause::Operator }
                | Action::Restart {
                    cause: Cause::Operator,
                    ..
                }
                | Action::Start {
                    cause: Cause::Operator,
                    ..
                }
        );
        if self.stopped {
            assert_eq!(*deed, Action::Stop { cause: Cause::Operator }, "stopped means stopped");
        }
        let of_update = deed.cause().is_of_update();
        // What an update has begun is brought to its end: a pause must not keep the collator down.
        assert!(
            self.paused_until.is_none() || by_operator || of_update,
            "{deed:?} while paused"
        );
        if of_update {
            // Another image may mend what held this one, and what no restart has cured.
            self.held = None;
            self.tries.clear();
        }
        match deed {
            Action::Hold { cause } => self.held = Some(*cause),
            Action::Restart { .. } | Action::Start { .. } => assert_eq!(self.held, None, "{deed:?} while held"),
            _ => {}
        }
        let Action::Restart { cause, .. } = *deed else { return };
        if !Cause::HEALTH.contains(&cause) {
            return;
        }
        self.health_restarts += 1;
        let policy = &machine.policy;
        let windows = &policy.windows;
        let (window, verdict) = match cause {
            Cause::Frozen => (policy.frozen_after, None),
            Cause::NoExporter => (policy.startup_grace, None),
            Cause::Isolated => (windows.isolated_after, Some(Verdict::Isolated)),
            _ => (windows.stall_after, Some(Verdict::Stalled)),
        };
        let full = |since: Option<Time>| since.is_none_or(|since| now.since(since) >= window);
        assert!(
            full(self.gap_at),
            "{cause:?} before the window was full again after a gap"
        );
        assert!(full(self.up_since), "{cause:?} in a run younger than the window");
        match verdict {
            None => {
                assert!(full(self.docker_back), "{cause:?} although Docker itself was silent");
                assert!(
                    self.chains.values().all(|seen| full(seen.sampled_at)),
                    "{cause:?} while answering"
                );
            }
            Some(verdict) => {
                assert!(full(self.network_down_at), "{cause:?} while the network was down");
                let chains = Chain::VARIANTS.iter().filter(|c| machine.verdict(now, **c) == verdict);
                let culprits: Vec<_> = chains.map(|c| &self.chains[c]).collect();
                assert!(!culprits.is_empty());
                for seen in culprits {
                    assert!(full(seen.rose_at), "{cause:?} with progress inside the window");
                    if cause == Cause::Isolated {
                        assert!(full(seen.company_at), "isolated with peers");
                    }
                }
            }
        }
        self.spent.push(now);
        let recent = self.spent.iter().filter(|t| now.since(**t) < policy.budget_window);
        assert!(
            recent.count() <= policy.budget as usize,
            "more restarts than the budget"
        );
        let tries = self.tries.entry(cause).or_default();
        *tries += 1;
        let limit = if cause == Cause::NoExporter { 1 } else { 2 };
        assert!(
            *tries <= limit,
            "{cause:?} for the {tries}th time although it did not help"
        );
    }
}
