//! Health restarts as a cure: how many may be spent, and whether they helped.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Cause;
use crate::event::{Chain, Time};

/// Unhelpful restarts in a row for one cause after which that cure is not tried again.
const GIVE_UP_AFTER: u32 = 2;

/// The restarts spent so far and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartBudget {
    /// When health restarts were ordered, within the budget's window.
    spent: VecDeque<Time>,
    open: BTreeMap<Cause, Attempt>,
    /// The last order, where it is not known whether Docker carried it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doubted: Option<(Time, Cause, Attempt)>,
}

/// Restarts for one cause since the chain last got beyond where it was stuck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Attempt {
    tries: u32,
    /// Whether the last try was already judged unhelpful.
    judged: bool,
    /// The chain that has to move; `None` is any.
    chain: Option<Chain>,
    /// Best and finalized of each chain when the first try was ordered.
    stuck_at: BTreeMap<Chain, (Option<u64>, Option<u64>)>,
}

impl RestartBudget {
    pub fn left(&self, now: Time, budget: u32, window: Duration) -> u32 {
        let spent = self.spent.iter().filter(|t| now.since(**t) < window).count();
        budget.saturating_sub(u32::try_from(spent).unwrap_or(u32::MAX))
    }

    pub fn next_refill(&self, window: Duration) -> Option<Time> {
        self.spent.front().map(|t| *t + window)
    }

    /// By how much the window before the next restart for `cause` is stretched: doubled by each try
    /// that has not helped so far.
    pub fn stretch(&self, cause: Cause) -> u32 {
        1 << self.tries(cause).min(8)
    }

    /// Whether the cure for `cause` was tried often enough to know that it does not help.
    pub fn given_up(&self, cause: Cause) -> bool {
        // Finality may stand on the whole network: it cannot be known without a reference, and with one it moves.
        let once = matches!(cause, Cause::NoExporter | Cause::FinalityStalled);
        self.tries(cause) >= if once { 1 } else { GIVE_UP_AFTER }
    }

    /// Whether a restart for `cause` has not got its chain beyond where it was stuck, or not yet.
    pub fn is_tried(&self, cause: Cause) -> bool {
        self.open.contains_key(&cause)
    }

    /// Whether what has become of the tries keeps a condition from being over: windows start anew with the agent, and what
    /// restarts have not cured is not cured by that.
    pub fn keeps(&self, cause: Cause) -> bool {
        match cause {
            Cause::NotHelping => self.open.keys().any(|cause| self.given_up(*cause)),
            Cause::BudgetSpent => self.open.values().any(|attempt| attempt.tries > 0),
            Cause::Blind => self.given_up(Cause::NoExporter),
            _ => self.is_tried(cause),
        }
    }

    /// Notes a restart for `cause`, ordered while the chains stood at `heights`.
    pub fn order(
        &mut self,
        now: Time,
        window: Duration,
        cause: Cause,
        chain: Option<Chain>,
        heights: BTreeMap<Chain, (Option<u64>, Option<u64>)>,
    ) {
        self.doubted = None;
        self.spent.retain(|t| now.since(*t) < window);
        self.spent.push_back(now);
        let trial = self.open.entry(cause).or_insert(Attempt {
            tries: 0,
            judged: false,
            chain,
            stuck_at: heights,
        });
        trial.tries += 1;
        trial.judged = false;
    }

    /// Takes back the last order for `cause`, unless its end is reported after all. False when there was none.
    pub fn doubt(&mut self, cause: Cause) -> bool {
        let Some(trial) = self.open.get_mut(&cause) else {
            return false;
        };
        let tried = trial.clone();
        trial.tries -= 1;
        if trial.tries == 0 {
            self.open.remove(&cause);
        }
        self.doubted = self.spent.pop_back().map(|ordered| (ordered, cause, tried));
        self.doubted.is_some()
    }

    /// Docker has carried out the order in doubt. False when there was none.
    pub fn confirm(&mut self) -> bool {
        let Some((ordered, cause, attempt)) = self.doubted.take() else {
            return false;
        };
        self.spent.push_back(ordered);
        self.open.insert(cause, attempt);
        true
    }

    /// Notes that `chain` stands at these heights; returns the causes whose cure has thereby helped.
    pub fn moved(&mut self, chain: Chain, best: Option<u64>, finalized: Option<u64>) -> Vec<Cause> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let beyond = |(cause, trial): &(&Cause, &Attempt)| {
            let (was_best, was_finalized) = trial.stuck_at.get(&chain).copied().unwrap_or_default();
            let best_moved = best.is_some_and(|b| was_best.is_none_or(|w| b > w));
            let finality_moved = finalized.is_some_and(|f| was_finalized.is_none_or(|w| f > w));
            let moved = match cause {
                Cause::FinalityStalled => finality_moved,
                Cause::Stalled => best_moved,
                _ => best_moved || finality_moved,
            };
            trial.chain.is_none_or(|c| c == chain) && moved
        };
        let helped: Vec<Cause> = self.open.iter().filter(beyond).map(|(c, _)| *c).collect();
        self.open.retain(|c, _| !helped.contains(c));
        helped
    }

    /// The exporters answer again after a restart because they never had: that was the whole trouble.
    pub fn exporter_answers(&mut self) -> bool {
        self.open.remove(&Cause::NoExporter).is_some()
    }

    /// Notes that the trouble is back although a restart was tried; true once a try.
    pub fn is_back(&mut self, cause: Cause) -> bool {
        self.open
            .get_mut(&cause)
            .is_some_and(|t| !std::mem::replace(&mut t.judged, true))
    }

    /// An operator says that things have changed: every cure may be tried again. What the last one was good for has yet to
    /// show in the run that goes on.
    pub fn forgive(&mut self) {
        self.open.retain(|_, attempt| !attempt.judged);
        self.open.values_mut().for_each(|attempt| attempt.tries = 0);
    }

    /// The same with a new run, in which the last cure shows nothing any more.
    pub fn reset(&mut self) {
        self.open.clear();
    }

    fn tries(&self, cause: Cause) -> u32 {
        self.open.get(&cause).map_or(0, |t| t.tries)
    }
}
