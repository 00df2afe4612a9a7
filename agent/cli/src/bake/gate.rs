//! When a sync is believed: both chains at a target that has been credible for a while.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use agent_core::event::Chain;
use agent_core::status::{ChainStatus, Scrape, Status, duration};

/// Watches the chains of one bake. Pure: the time comes in with each status.
#[derive(Debug)]
pub(super) struct Gate {
    within: u64,
    credible: Duration,
    chains: Vec<Chain>,
    open: Option<Window>,
    /// The first look.
    begun: Option<Instant>,
    /// A chain has told how far it is.
    told: bool,
}

/// A node that has told nothing of any chain for so long never will: its image cannot be had, or it does not come up.
const HOPELESS: Duration = Duration::from_hours(1);

/// Everything has been as it should since then.
#[derive(Debug)]
struct Window {
    since: Instant,
    run: Option<Timestamp>,
    /// Where each target stands, and when it last rose.
    targets: BTreeMap<Chain, (u64, Instant)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outlook {
    /// Not in sync, or nobody to be in sync with: why.
    Not(String),
    /// For so long by now.
    For(Duration),
    /// For long enough.
    Reached,
    /// The node never told anything.
    Hopeless,
}

impl Gate {
    pub(super) fn new(within: u64, credible: Duration, chains: impl IntoIterator<Item = Chain>) -> Self {
        Self {
            within,
            credible,
            chains: chains.into_iter().collect(),
            open: None,
            begun: None,
            told: false,
        }
    }

    /// What `status` at `now` adds to what was seen before.
    pub(super) fn see(&mut self, now: Instant, status: &Status) -> Outlook {
        let begun = *self.begun.get_or_insert(now);
        self.told |= status.chains.values().any(|chain| chain.best.is_some());
        if !self.told && now.saturating_duration_since(begun) >= HOPELESS {
            return Outlook::Hopeless;
        }
        let lacking = self.chains.iter().find_map(|chain| {
            let found = status.chains.get(chain);
            let lack = found.map_or(Some("is not known yet".to_owned()), |found| self.lack(found));
            lack.map(|why| format!("the {} {why}", chain.name()))
        });
        if let Some(why) = lacking {
            self.open = None;
            return Outlook::Not(why);
        }
        let target = |chain: &Chain| {
            status
                .chains
                .get(chain)
                .and_then(|found| found.target)
                .unwrap_or_default()
        };
        let run = status.collator.started_at;
        if self.open.as_ref().is_some_and(|window| window.run != run) {
            self.open = None;
        }
        let window = self.open.get_or_insert_with(|| Window {
            since: now,
            run,
            targets: self.chains.iter().map(|chain| (*chain, (target(chain), now))).collect(),
        });
        for (chain, (stood, rose)) in &mut window.targets {
            if target(chain) > *stood {
                (*stood, *rose) = (target(chain), now);
            }
        }
        let still = |rose: Instant| now.saturating_duration_since(rose);
        let standing = window
            .targets
            .iter()
            .find(|(_, (_, rose))| still(*rose) > self.credible / 2);
        if let Some((chain, (_, rose))) = standing {
            let why = format!(
                "the {}'s target has not moved for {}: nobody knows whether the chain goes on",
                chain.name(),
                duration(still(*rose).as_secs())
            );
            window.since = now;
            return Outlook::Not(why);
        }
        let lasted = now.saturating_duration_since(window.since);
        if lasted < self.credible {
            Outlook::For(lasted)
        } else {
            Outlook::Reached
        }
    }

    /// What keeps one chain from being believed at this moment.
    fn lack(&self, chain: &ChainStatus) -> Option<String> {
        match chain {
            ChainStatus { scrape, .. } if *scrape != Some(Scrape::Ok) => Some("does not answer".to_owned()),
            ChainStatus {
                peers: None | Some(0), ..
            } => Some("has no peers".to_owned()),
            ChainStatus { best: None, .. } | ChainStatus { target: None, .. } | ChainStatus { behind: None, .. } => {
                Some("does not tell how far it is".to_owned())
            }
            ChainStatus {
                behind: Some(behind), ..
            } if *behind > self.within => Some(format!("is {behind} blocks behind")),
            // A node that has just started knows no other target than its own height.
            ChainStatus { best: Some(0), .. } => Some("has no block yet".to_owned()),
            _ => None,
        }
    }
}

/// How far each chain is, in one line.
pub(super) fn progress(status: &Status, outlook: &Outlook) -> String {
    let number = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let mut parts: Vec<String> = status
        .chains
        .iter()
        .map(|(name, chain)| {
            let speed = chain.blocks_per_second.map(|s| format!(", {s:.1} blocks/s"));
            let left = chain.eta_seconds.map(|s| format!(", about {} left", duration(s)));
            format!(
                "{} #{} of #{}, {} peers{}{}",
                name.name(),
                number(chain.best),
                number(chain.target),
                number(chain.peers),
                speed.unwrap_or_default(),
                left.unwrap_or_default()
            )
        })
        .collect();
    parts.push(match outlook {
        Outlook::Not(why) => why.clone(),
        Outlook::For(lasted) => format!("in sync for {}", duration(lasted.as_secs())),
        Outlook::Reached => "in sync".to_owned(),
        Outlook::Hopeless => format!("nothing was told in {}", duration(HOPELESS.as_secs())),
    });
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(best: u64, target: u64, peers: u64) -> Status {
        let mut status = Status::default();
        let chain = ChainStatus {
            best: Some(best),
            target: Some(target),
            behind: Some(target.saturating_sub(best)),
            peers: Some(peers),
            scrape: Some(Scrape::Ok),
            ..ChainStatus::default()
        };
        status.chains = Chain::ALL.into_iter().map(|name| (name, chain.clone())).collect();
        status
    }

    fn gate() -> (Gate, impl Fn(u64) -> Instant) {
        let began = Instant::now();
        (Gate::new(10, Duration::from_mins(1), Chain::ALL), move |s| {
            began + Duration::from_secs(s)
        })
    }

    #[test]
    fn in_sync_for_the_whole_time_with_a_target_that_moves_is_believed() {
        let (mut gate, at) = gate();
        assert_eq!(gate.see(at(0), &status(90, 100, 3)), Outlook::For(Duration::ZERO));
        assert_eq!(
            gate.see(at(59), &status(100, 101, 3)),
            Outlook::For(Duration::from_secs(59))
        );
        assert_eq!(gate.see(at(60), &status(100, 101, 3)), Outlook::Reached);
    }

    #[test]
    fn a_target_that_stands_still_is_not_believed_until_it_moves() {
        let (mut gate, at) = gate();
        let _ = gate.see(at(0), &status(100, 100, 3));
        assert!(matches!(gate.see(at(600), &status(100, 100, 3)), Outlook::Not(_)));
        assert_eq!(
            gate.see(at(601), &status(100, 101, 3)),
            Outlook::For(Duration::from_secs(1))
        );
        assert_eq!(
            gate.see(at(631), &status(101, 102, 3)),
            Outlook::For(Duration::from_secs(31))
        );
        assert_eq!(gate.see(at(660), &status(101, 102, 3)), Outlook::Reached);
    }

    #[test]
    fn a_chain_that_stands_still_for_half_the_time_begins_it_anew() {
        let (mut gate, at) = gate();
        let _ = gate.see(at(0), &status(100, 100, 3));
        let _ = gate.see(at(8), &status(100, 101, 3));
        let _ = gate.see(at(38), &status(101, 101, 3));
        assert!(matches!(gate.see(at(39), &status(101, 101, 3)), Outlook::Not(_)));
        assert_eq!(
            gate.see(at(60), &status(101, 102, 3)),
            Outlook::For(Duration::from_secs(21))
        );
    }

    #[test]
    fn a_moment_without_peers_or_too_far_behind_begins_the_time_anew() {
        for broken in [status(100, 100, 0), status(89, 100, 3)] {
            let (mut gate, at) = gate();
            let _ = gate.see(at(0), &status(99, 100, 3));
            assert!(matches!(gate.see(at(30), &broken), Outlook::Not(_)));
            let _ = gate.see(at(31), &status(100, 101, 3));
            assert_eq!(
                gate.see(at(70), &status(100, 102, 3)),
                Outlook::For(Duration::from_secs(39))
            );
        }
    }

    #[test]
    fn a_node_that_never_tells_anything_is_given_up_and_one_that_told_something_is_not() {
        let (mut silent, at) = gate();
        for (second, expected) in [(0, false), (3599, false), (3600, true)] {
            let outlook = silent.see(at(second), &Status::default());
            assert_eq!(outlook == Outlook::Hopeless, expected, "{second}");
        }
        let (mut told, at) = gate();
        let mut relay = status(1, 100, 0);
        relay.chains.remove(&Chain::Parachain);
        for (second, status) in [(0, Status::default()), (3599, relay), (9999, Status::default())] {
            assert!(matches!(told.see(at(second), &status), Outlook::Not(_)));
        }
    }

    #[test]
    fn one_chain_alone_is_not_enough_and_another_run_begins_anew() {
        let (mut gate, at) = gate();
        let mut alone = status(100, 100, 3);
        alone.chains.remove(&Chain::Relaychain);
        assert!(matches!(gate.see(at(0), &alone), Outlook::Not(_)));
        let _ = gate.see(at(1), &status(100, 100, 3));
        let mut other = status(100, 101, 3);
        other.collator.started_at = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(gate.see(at(100), &other), Outlook::For(Duration::ZERO));
    }
}
