//! What the evidence about a chain says, with its numbers and no more than was seen.

use crate::chain_health::{ChainTracker, Opinion, Verdict};
use crate::event::{Chain, ScrapeError};
use crate::machine::{Cause, Machine, Work};
use crate::units::{counted, rounded_size, show_duration};

impl Machine {
    /// What is wrong with one chain, by its own evidence.
    pub(in crate::machine) fn conditions(
        &self,
        chain: Chain,
        tracker: &ChainTracker,
        verdict: Verdict,
    ) -> impl Iterator<Item = Cause> + use<> {
        let policy = &self.policy;
        // Without the host's network every node is alone.
        let has_network = self.state.host.network_ok != Some(false);
        let reports_idle = !policy.expects_idle(chain);
        let never_connected = !tracker.peers.ever && tracker.peers.waited_for >= policy.windows.isolated_after;
        let conditions = [
            (verdict == Verdict::Isolated && has_network, Cause::Isolated),
            (verdict == Verdict::Quiet && reports_idle, Cause::Quiet),
            (never_connected && reports_idle, Cause::NeverConnected),
            (tracker.peers.is_unsteady() && reports_idle, Cause::UnsteadyPeers),
            (tracker.is_falling_behind(), Cause::FallingBehind),
            (tracker.runaway().is_some(), Cause::SyncTooSlow),
            (tracker.finality.stall.is_some(), Cause::FinalityStalled),
        ];
        conditions
            .into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, cause)| cause)
    }

    /// A sentence on a condition of a chain, or of the node's start; `None` for any other cause.
    pub(super) fn explain_chain(&self, cause: Cause) -> Option<String> {
        let state = &self.state;
        match cause {
            Cause::SlowStart => return Some(self.explain_slow_start()),
            Cause::Blind => return self.explain_blind(),
            Cause::Stalled => return self.explain_stalled(),
            _ => {}
        }
        let verdicts = self.verdicts(state.now);
        let holds = |(chain, tracker): &(&Chain, &ChainTracker)| {
            let mut conditions = self.conditions(**chain, tracker, verdicts.of(**chain));
            conditions.any(|condition| condition == cause)
        };
        let (chain, tracker) = state.trackers.iter().find(holds)?;
        Some(match cause {
            Cause::Quiet => self.explain_quiet(*chain, tracker),
            Cause::FinalityStalled => self.explain_finality(*chain, tracker),
            Cause::SyncTooSlow => {
                let slope = tracker.runaway()?;
                format!(
                    "the {} syncs at {} while its target grows by {}, for two hours: it does not come closer at this \
                     speed, take a faster disk or instance, or start from a snapshot",
                    name(*chain),
                    speed(slope.best),
                    speed(slope.target)
                )
            }
            Cause::FallingBehind => {
                let behind = tracker.behind().unwrap_or_default();
                format!(
                    "the {} is {} behind and falls further behind although blocks arrive: the host may be too slow",
                    name(*chain),
                    counted(behind, "block")
                )
            }
            Cause::UnsteadyPeers => format!(
                "all peers of the {} leave and come back again and again: an idle chain does that; otherwise check ports \
                 and bootnodes",
                name(*chain)
            ),
            Cause::NeverConnected => format!(
                "the {} has not had a peer yet: if that is not by design, check ports and bootnodes; idle = \"expected\" \
                 in chains.{} says that it is",
                name(*chain),
                chain.into_str()
            ),
            _ => return None,
        })
    }

    /// Which exporters give no heights, and why.
    fn explain_blind(&self) -> Option<String> {
        let blind = |(chain, tracker): (&Chain, &ChainTracker)| {
            let why = match tracker.last_error()? {
                ScrapeError::MetricMissing => "has no block height on its page: check prefix and metrics",
                ScrapeError::HttpStatus | ScrapeError::TooLarge | ScrapeError::Unparsable => {
                    "answers with something else than metrics: check metrics"
                }
                ScrapeError::Refused | ScrapeError::Timeout | ScrapeError::Unreachable => {
                    "does not answer: check its port, and metrics"
                }
            };
            let silent = tracker.blind_for >= self.policy.frozen_after || tracker.silent.is_some();
            let text = format!(
                "the exporter of the {} {why} in chains.{}",
                name(*chain),
                chain.into_str()
            );
            silent.then_some(text)
        };
        let blind: Vec<String> = self.state.trackers.iter().filter_map(blind).collect();
        (!blind.is_empty()).then(|| format!("{}; without heights a chain cannot be judged", blind.join(", ")))
    }

    fn explain_stalled(&self) -> Option<String> {
        let (chain, tracker) = self.fault(self.verdicts(self.state.now)).and_then(|fault| {
            let chain = fault.chain.filter(|_| fault.cause == Cause::Stalled)?;
            Some((chain, self.state.trackers.get(&chain)?))
        })?;
        let best = tracker.heights.best?;
        let lasted = show_duration(whole_minutes(tracker.still_for()));
        let lacks = match tracker.behind() {
            Some(behind) if behind > 0 => format!(", {} behind its target", counted(behind, "block")),
            _ => String::new(),
        };
        let with = peers("with", tracker);
        let opinion = match self.opinion(self.state.now, chain) {
            Opinion::Ahead => "; a reference moves on",
            _ => "",
        };
        Some(format!(
            "the {} has stood at block {best} for {lasted}{lacks}{with}{opinion}",
            name(chain)
        ))
    }

    fn explain_quiet(&self, chain: Chain, tracker: &ChainTracker) -> String {
        let from = peers("from", tracker);
        let relay = self
            .state
            .trackers
            .get(&Chain::Relaychain)
            .filter(|_| chain == Chain::Parachain);
        let relay = match relay.map(|relay| relay.progressing(self.policy.windows.stall_after)) {
            Some(true) => "; the relay chain moves",
            _ => "",
        };
        let opinion = match self.opinion(self.state.now, chain) {
            Opinion::Level => "the reference stands at the same height, so a restart would not help",
            _ if self.has_reference(chain) => {
                "whether the chain or only this node stands is not known, as no reference can be relied on now"
            }
            _ => "whether the chain or only this node stands cannot be known without a reference (chains.*.reference)",
        };
        format!(
            "no new block of the {} for {}{from}{relay}: {opinion}",
            name(chain),
            show_duration(whole_minutes(tracker.still_for()))
        )
    }

    fn explain_finality(&self, chain: Chain, tracker: &ChainTracker) -> String {
        let lasted = tracker
            .finality
            .stall
            .map_or(tracker.finality.still, |stall| stall.lasted);
        let led_by = self.leads_finality_of(chain);
        let opinion = match self.opinion_of_finality(self.state.now, led_by) {
            Opinion::Ahead => "a reference's finality moves on",
            Opinion::Level => "the reference's finality stands still as well, so a restart would not help",
            Opinion::Unknown if self.has_reference(led_by) => {
                "whether that is the network or only this node is not known, as no reference can be relied on now"
            }
            Opinion::Unknown => {
                "whether that is the network or only this node cannot be known without a reference (chains.*.reference)"
            }
        };
        format!(
            "finality of the {} has stood still for {} while new blocks arrive: {opinion}",
            name(chain),
            show_duration(whole_minutes(lasted))
        )
    }

    fn explain_slow_start(&self) -> String {
        let Work {
            cpu_percent,
            read_rate,
            write_rate,
        } = self.work();
        let cpu = cpu_percent.map(|cpu| format!("CPU {cpu:.0} %"));
        let rate = |what: &str, rate: Option<u64>| rate.map(|rate| format!("{what} {}/s", rounded_size(rate)));
        let used: Vec<String> = [cpu, rate("reads", read_rate), rate("writes", write_rate)]
            .into_iter()
            .flatten()
            .collect();
        let used = if used.is_empty() {
            String::new()
        } else {
            format!(" (now {})", used.join(", "))
        };
        format!(
            "no exporter has answered since the start; the node has been at work{used}, and is left alone while it works: see \
             t0rn-agent logs"
        )
    }
}

/// The same without a number: it has just passed.
pub(super) fn sentence(cause: Cause) -> &'static str {
    match cause {
        Cause::FallingBehind => "blocks arrive but the distance to the target grows: the host may be too slow",
        Cause::FinalityStalled => "finality stands still while new blocks arrive",
        Cause::SyncTooSlow => "the first sync does not come closer to its target",
        Cause::UnsteadyPeers => "all peers leave and come back again and again",
        Cause::NeverConnected => "there has not been a peer yet",
        Cause::SlowStart => "no exporter has answered since the start, and the node has been at work",
        _ => "no new block although the node is at its target with peers",
    }
}

/// The number of its peers after a preposition, where it is known.
fn peers(preposition: &str, tracker: &ChainTracker) -> String {
    match tracker.sample().and_then(|sample| sample.peers) {
        Some(peers) => format!(" {preposition} {}", counted(peers, "peer")),
        None => String::new(),
    }
}

/// Blocks a second, or a minute or an hour where they are rare.
fn speed(per_second: f64) -> String {
    match per_second {
        rate if rate >= 0.1 => format!("{rate:.2} blocks/s"),
        rate if rate * 60.0 >= 0.1 => format!("{:.2} blocks/min", rate * 60.0),
        rate => format!("{:.1} blocks/h", rate * 3600.0),
    }
}

fn name(chain: Chain) -> &'static str {
    match chain {
        Chain::Parachain => "parachain",
        Chain::Relaychain => "relay chain",
    }
}

/// Without the seconds of what lasts for minutes.
fn whole_minutes(duration: std::time::Duration) -> std::time::Duration {
    let seconds = duration.as_secs();
    std::time::Duration::from_secs(if seconds < 60 { seconds } else { seconds - seconds % 60 })
}
