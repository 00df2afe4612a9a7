//! What the evidence about a chain says, with its numbers and no more than was seen.

use crate::chain_health::{ChainTracker, Opinion, Verdict};
use crate::event::Chain;
use crate::machine::{Cause, Machine, Work};
use crate::units::{rounded_size, show_duration};

impl Machine {
    /// What is wrong with one chain, by its own evidence.
    pub(in crate::machine) fn conditions(
        &self,
        chain: Chain,
        tracker: &ChainTracker,
        verdict: Verdict,
    ) -> impl Iterator<Item = Cause> + use<> {
        let policy = &self.policy;
        let reports_idle = !policy.expects_idle(chain);
        let never_connected = !tracker.peers.ever && tracker.peers.waited_for >= policy.windows.isolated_after;
        let conditions = [
            (verdict == Verdict::Isolated, Cause::Isolated),
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
        if cause == Cause::SlowStart {
            return Some(self.explain_slow_start());
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
                    "the {} syncs at {:.2} blocks/s while its target grows by {:.2} blocks/s, for two hours: it will not \
                     arrive at this speed, take a faster disk or instance, or start from a snapshot",
                    name(*chain),
                    slope.best,
                    slope.target
                )
            }
            Cause::FallingBehind => {
                let behind = tracker.behind().unwrap_or_default();
                format!(
                    "the {} is {behind} blocks behind and falls further behind although blocks arrive: the host may be \
                     too slow",
                    name(*chain)
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

    fn explain_quiet(&self, chain: Chain, tracker: &ChainTracker) -> String {
        let peers = tracker.sample().and_then(|sample| sample.peers);
        let from = match peers {
            Some(1) => " from 1 peer".to_owned(),
            Some(peers) => format!(" from {peers} peers"),
            None => String::new(),
        };
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
            _ => "whether the chain or only this node stands cannot be told without a reference (chains.*.reference)",
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
        let opinion = match self.opinion_of_finality(self.state.now, chain) {
            Opinion::Ahead => "a reference's finality moves on",
            Opinion::Level => "the reference's finality stands still as well, so a restart would not help",
            Opinion::Unknown => {
                "whether that is the network or only this node cannot be told without a reference (chains.*.reference)"
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
            format!(" ({})", used.join(", "))
        };
        format!(
            "no exporter has answered since the start, and the node is at work{used}: it is left alone, see t0rn-agent logs"
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
        Cause::SlowStart => "no exporter has answered since the start, and the node is at work",
        _ => "no new block although the node is at its target with peers",
    }
}

fn name(chain: Chain) -> &'static str {
    match chain {
        Chain::Parachain => "parachain",
        Chain::Relaychain => "relay chain",
    }
}

fn whole_minutes(duration: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_mins(duration.as_secs() / 60)
}
