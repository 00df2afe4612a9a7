//! A configuration that is changed while the collator runs: nothing that was observed is lost.

use std::time::Duration;

use super::harness::*;
use crate::event::{Chain, Event, Reading, ScrapeError};
use crate::machine::{Action, Cause, Policy};

impl Harness {
    /// The operator changes the configuration, and the references of these chains.
    fn reconfigure(&mut self, references: &[Chain], change: impl FnOnce(&mut Policy)) {
        let mut policy = self.machine.policy.clone();
        change(&mut policy);
        self.event(Event::Configuration {
            policy: Box::new(policy),
            references: references.to_vec(),
        });
    }
}

#[test]
fn shorter_window_counts_the_silence_that_was_observed_before() {
    let mut harness = Harness::synced();
    let since = harness.seconds();
    harness.para.error = Some(ScrapeError::Timeout);
    harness.relay.error = Some(ScrapeError::Timeout);
    harness.run(100);
    assert_eq!(harness.container_actions(), []);
    harness.reconfigure(&[], |policy| policy.frozen_after = Duration::from_mins(1));
    assert_eq!(harness.container_actions(), [restart(Cause::Frozen)]);
    assert_eq!(harness.times(since), [100]);
}

#[test]
fn larger_budget_allows_a_restart_that_is_due() {
    let mut harness = Harness::synced();
    harness.machine.policy.budget = 0;
    harness.para.moves = false;
    harness.run(10 * MINUTE);
    assert_eq!(harness.container_actions(), []);
    harness.reconfigure(&[], |policy| policy.budget = 3);
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
}

#[test]
fn configuration_without_a_change_does_nothing() {
    let mut harness = Harness::synced();
    let state = harness.machine.state().clone();
    harness.reconfigure(&[], |_| {});
    assert_eq!(harness.machine.state(), &state);
    assert_eq!(
        harness.log.iter().map(|(_, action)| action).collect::<Vec<&Action>>(),
        [] as [&Action; 0]
    );
}

#[test]
fn only_other_references_are_forgotten() {
    let mut harness = Harness::synced();
    for chain in [Chain::Parachain, Chain::Relaychain] {
        let reading = Reading {
            best: Some(5),
            ..Reading::default()
        };
        harness.event(Event::Reference {
            chain,
            source: 0,
            reading: Ok(reading),
        });
    }
    harness.reconfigure(&[Chain::Relaychain], |_| {});
    let known: Vec<Chain> = harness.machine.state().references.keys().copied().collect();
    assert_eq!(known, [Chain::Parachain]);
}
