//! The identity: nothing runs with keys that this host does not hold.

use super::harness::*;
use super::updates::{NEW, ended, start_of};
use crate::event::{
    ActionFailure, Command, DesiredSpec, Event, Holding, Identity, LifecycleAnswer, Notice, NoticeKind,
};
use crate::machine::WithoutVolume;
use crate::machine::{Action, Cause, Health, Machine, Phase, Policy};

impl Harness {
    fn told_of_keys(&mut self, holding: Holding) {
        let why = if holding == Holding::Held {
            ""
        } else {
            "the volume is elsewhere"
        };
        self.event(Event::Identity(Identity {
            holding,
            why: why.into(),
        }));
    }
}

fn fenced(without: WithoutVolume) -> Policy {
    Policy {
        identity: Some(without),
        ..Policy::default()
    }
}

/// A collator that runs behind the fence, with its keys.
fn keyed(without: WithoutVolume) -> Harness {
    let mut harness = Harness::with(fenced(without));
    harness.told_of_keys(Holding::Held);
    harness.runs_anew();
    harness.run(2 * MINUTE);
    harness.log.clear();
    harness
}

/// Well within the 30 s that the next host waits, with a stop timeout of minutes.
fn stop_within(cause: Cause) -> Action {
    Action::StopWithin { cause, seconds: 20 }
}

fn stop(cause: Cause) -> Action {
    Action::Stop { cause }
}

#[test]
fn an_update_waits_for_the_keys() {
    let mut harness = keyed(WithoutVolume::Nothing);
    harness.told_of_keys(Holding::Unknown);
    harness.asks();
    harness.pulled();
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.told_of_keys(Holding::Held);
    harness.run(MINUTE);
    let start = start_of(Cause::Update, NEW);
    assert_eq!(harness.container_actions(), [stop(Cause::Update), start]);
}

#[test]
fn keys_are_permitted_only_while_held() {
    let mut harness = Harness::with(fenced(WithoutVolume::Nothing));
    assert!(!harness.machine.holds(), "nothing is known yet");
    for (holding, permitted) in [
        (Holding::Held, true),
        (Holding::Unknown, false),
        (Holding::Missing, false),
        (Holding::Lost, false),
        (Holding::ReadOnly, false),
    ] {
        harness.told_of_keys(holding);
        assert_eq!(harness.machine.holds(), permitted, "{holding:?}");
    }
    assert!(
        Harness::with(Policy::default()).machine.holds(),
        "no identity is asked for"
    );
}

#[test]
fn nothing_starts_before_the_identity_is_held() {
    for holding in [
        None,
        Some(Holding::Unknown),
        Some(Holding::Missing),
        Some(Holding::Lost),
        Some(Holding::ReadOnly),
    ] {
        let mut harness = Harness::with(fenced(WithoutVolume::Nothing));
        if let Some(holding) = holding {
            harness.told_of_keys(holding);
        }
        harness.event(Event::Container(crate::event::Container::Missing));
        harness.run(HOUR);
        harness.event(Event::Operator(Command::START));
        harness.event(Event::Operator(Command::Restart { reason: String::new() }));
        harness.run(HOUR);
        assert_eq!(harness.container_actions(), [], "{holding:?}");
        harness.told_of_keys(Holding::Held);
        harness.run(MINUTE);
        assert!(
            matches!(harness.container_actions()[..], [Action::Start { .. }]),
            "{holding:?}"
        );
    }
}

#[test]
fn a_lost_identity_stops_a_running_collator_and_its_return_starts_it() {
    for (holding, cause) in [
        (Holding::Lost, Cause::IdentityLost),
        (Holding::ReadOnly, Cause::IdentityLost),
        (Holding::Missing, Cause::IdentityMissing),
    ] {
        let mut harness = keyed(WithoutVolume::Nothing);
        harness.told_of_keys(holding);
        assert_eq!(harness.container_actions(), [stop_within(cause)]);
        harness.expect(Phase::Holding, Health::Critical);
        assert!(harness.machine.explain(cause).contains("elsewhere"));
        harness.run(HOUR);
        assert_eq!(harness.container_actions().len(), 1, "nobody starts it again");
        harness.told_of_keys(Holding::Held);
        harness.run(MINUTE);
        assert_eq!(harness.container_actions()[1..], [start(Cause::IdentityHeld)]);
    }
}

#[test]
fn a_pause_does_not_keep_a_collator_whose_keys_are_lost() {
    let mut harness = keyed(WithoutVolume::Nothing);
    harness.event(Event::Operator(Command::Pause {
        seconds: HOUR,
        reason: String::new(),
    }));
    harness.told_of_keys(Holding::Lost);
    assert_eq!(harness.container_actions(), [stop_within(Cause::IdentityLost)]);
}

#[test]
fn not_knowing_neither_stops_nor_starts() {
    let mut harness = keyed(WithoutVolume::Nothing);
    harness.told_of_keys(Holding::Unknown);
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.exits(1, &[]);
    harness.run(HOUR);
    assert_eq!(
        harness.container_actions(),
        [],
        "a crash is not mended while nobody knows"
    );
    harness.told_of_keys(Holding::Held);
    harness.run(MINUTE);
    assert!(matches!(harness.container_actions()[..], [Action::Start { .. }]));
}

#[test]
fn restarted_agent_without_identity_knowledge_disturbs_nothing() {
    let mut harness = keyed(WithoutVolume::Nothing);
    let state = harness.machine.state().clone();
    harness.machine = Machine::resume(fenced(WithoutVolume::Nothing), state, harness.now);
    assert!(!harness.machine.holds());
    harness.run(10 * MINUTE);
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn a_full_node_takes_the_place_and_makes_room_for_the_keys() {
    let mut harness = keyed(WithoutVolume::FullNode);
    harness.told_of_keys(Holding::Lost);
    harness.run(MINUTE);
    assert!(
        matches!(
            harness.container_actions()[..],
            [
                Action::StopWithin {
                    cause: Cause::IdentityLost,
                    seconds: 20
                },
                Action::Start {
                    cause: Cause::IdentityLost,
                    spec: DesiredSpec { keys: false, .. },
                }
            ]
        ),
        "{:?}",
        harness.container_actions()
    );
    assert!(!harness.machine.is_authority() && !harness.machine.wants_keys());
    harness.log.clear();
    harness.told_of_keys(Holding::Held);
    assert_eq!(harness.container_actions(), [restart(Cause::SpecChanged)]);
    assert!(harness.machine.is_authority());
}

#[test]
fn the_keys_are_taken_up_again_and_again_until_they_can_be_used() {
    let mut harness = keyed(WithoutVolume::FullNode);
    harness.told_of_keys(Holding::Lost);
    harness.run(MINUTE);
    harness.log.clear();
    harness.obeys = false;
    harness.told_of_keys(Holding::Held);
    harness.fails(ActionFailure::Other);
    harness.run(MINUTE);
    let again = restart(Cause::SpecChanged);
    assert_eq!(harness.container_actions(), [again.clone(), again]);
}

#[test]
fn without_a_fence_the_word_means_nothing() {
    let mut harness = Harness::synced();
    harness.told_of_keys(Holding::Lost);
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn volume_is_released_once_between_stop_and_lifecycle_completion() {
    let mut harness = keyed(WithoutVolume::Nothing);
    harness.obeys = false;
    harness.event(Event::Ec2(Some(Notice {
        kind: NoticeKind::Termination,
        seconds: Some(900),
    })));
    assert_eq!(
        (harness.volume_orders(), harness.answered()),
        (vec![], Some(LifecycleAnswer::Wait))
    );
    harness.obeys = true;
    harness.done(ended());
    harness.run(MINUTE);
    assert_eq!(
        (harness.volume_orders(), harness.answered()),
        (vec!["release_identity"], Some(LifecycleAnswer::Wait)),
        "the volume is not given back yet"
    );
    harness.event(Event::IdentityReleased);
    harness.run(MINUTE);
    assert_eq!(
        (harness.volume_orders(), harness.answered()),
        (vec!["release_identity"], Some(LifecycleAnswer::Complete))
    );
}

#[test]
fn volume_is_held_again_when_the_end_is_called_off() {
    let mut harness = keyed(WithoutVolume::Nothing);
    let notice = Notice {
        kind: NoticeKind::SpotInterruption,
        seconds: Some(120),
    };
    harness.event(Event::Ec2(Some(notice)));
    harness.event(Event::IdentityReleased);
    harness.event(Event::Ec2(None));
    assert_eq!(harness.volume_orders(), ["release_identity", "hold_identity"]);
    assert_eq!(harness.answered(), None);
}

#[test]
fn volume_that_is_not_asked_for_is_never_ordered() {
    let mut harness = Harness::synced();
    harness.event(Event::Ec2(Some(Notice {
        kind: NoticeKind::Termination,
        seconds: None,
    })));
    harness.run(MINUTE);
    assert_eq!(
        (harness.volume_orders(), harness.answered()),
        (vec![], Some(LifecycleAnswer::Complete))
    );
}
