//! The identity: nothing runs with keys that this host does not hold.

use super::rig::*;
use super::updates::{NEW, ended, start_of};
use crate::event::{Command, DesiredSpec, Event, Failure, Holding, Identity, LifecycleAnswer, Notice, NoticeKind};
use crate::machine::WithoutVolume;
use crate::machine::{Action, Cause, Health, Machine, Phase, Policy};

impl Rig {
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
fn keyed(without: WithoutVolume) -> Rig {
    let mut rig = Rig::with(fenced(without));
    rig.told_of_keys(Holding::Held);
    rig.runs_anew();
    rig.run(2 * MINUTE);
    rig.log.clear();
    rig
}

fn stop(cause: Cause) -> Action {
    Action::Stop { cause }
}

#[test]
fn an_update_waits_for_the_keys() {
    let mut rig = keyed(WithoutVolume::Nothing);
    rig.told_of_keys(Holding::Unknown);
    rig.asks();
    rig.pulled();
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    rig.told_of_keys(Holding::Held);
    rig.run(MINUTE);
    let start = start_of(Cause::Update, NEW);
    assert_eq!(rig.deeds(), [stop(Cause::Update), start]);
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
        let mut rig = Rig::with(fenced(WithoutVolume::Nothing));
        if let Some(holding) = holding {
            rig.told_of_keys(holding);
        }
        rig.event(Event::Container(crate::event::Container::Missing));
        rig.run(HOUR);
        rig.event(Event::Operator(Command::Start));
        rig.event(Event::Operator(Command::Restart { reason: String::new() }));
        rig.run(HOUR);
        assert_eq!(rig.deeds(), [], "{holding:?}");
        rig.told_of_keys(Holding::Held);
        rig.run(MINUTE);
        assert!(matches!(rig.deeds()[..], [Action::Start { .. }]), "{holding:?}");
    }
}

#[test]
fn a_lost_identity_stops_a_running_collator_and_its_return_starts_it() {
    for (holding, cause) in [
        (Holding::Lost, Cause::IdentityLost),
        (Holding::ReadOnly, Cause::IdentityLost),
        (Holding::Missing, Cause::IdentityMissing),
    ] {
        let mut rig = keyed(WithoutVolume::Nothing);
        rig.told_of_keys(holding);
        assert_eq!(rig.deeds(), [stop(cause)]);
        rig.expect(Phase::Holding, Health::Critical);
        assert!(rig.machine.explain(cause).contains("elsewhere"));
        rig.run(HOUR);
        assert_eq!(rig.deeds().len(), 1, "nobody starts it again");
        rig.told_of_keys(Holding::Held);
        rig.run(MINUTE);
        assert_eq!(rig.deeds()[1..], [start(Cause::IdentityHeld)]);
    }
}

#[test]
fn a_pause_does_not_keep_a_collator_whose_keys_are_lost() {
    let mut rig = keyed(WithoutVolume::Nothing);
    rig.event(Event::Operator(Command::Pause {
        seconds: HOUR,
        reason: String::new(),
    }));
    rig.told_of_keys(Holding::Lost);
    assert_eq!(rig.deeds(), [stop(Cause::IdentityLost)]);
}

#[test]
fn not_knowing_neither_stops_nor_starts() {
    let mut rig = keyed(WithoutVolume::Nothing);
    rig.told_of_keys(Holding::Unknown);
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    rig.exits(1, &[]);
    rig.run(HOUR);
    assert_eq!(rig.deeds(), [], "a crash is not mended while nobody knows");
    rig.told_of_keys(Holding::Held);
    rig.run(MINUTE);
    assert!(matches!(rig.deeds()[..], [Action::Start { .. }]));
}

#[test]
fn a_new_life_of_the_agent_knows_nothing_of_the_identity_and_disturbs_nothing() {
    let mut rig = keyed(WithoutVolume::Nothing);
    let state = rig.machine.state().clone();
    rig.machine = Machine::resume(fenced(WithoutVolume::Nothing), state, rig.now);
    assert!(!rig.machine.holds());
    rig.run(10 * MINUTE);
    assert_eq!(rig.deeds(), []);
}

#[test]
fn a_full_node_takes_the_place_and_makes_room_for_the_keys() {
    let mut rig = keyed(WithoutVolume::FullNode);
    rig.told_of_keys(Holding::Lost);
    rig.run(MINUTE);
    assert!(
        matches!(
            rig.deeds()[..],
            [
                Action::Stop {
                    cause: Cause::IdentityLost
                },
                Action::Start {
                    cause: Cause::IdentityLost,
                    spec: DesiredSpec { keys: false, .. },
                }
            ]
        ),
        "{:?}",
        rig.deeds()
    );
    assert!(!rig.machine.is_authority() && !rig.machine.wants_keys());
    rig.log.clear();
    rig.told_of_keys(Holding::Held);
    assert_eq!(rig.deeds(), [restart(Cause::SpecChanged)]);
    assert!(rig.machine.is_authority());
}

#[test]
fn the_keys_are_taken_up_again_and_again_until_they_can_be_used() {
    let mut rig = keyed(WithoutVolume::FullNode);
    rig.told_of_keys(Holding::Lost);
    rig.run(MINUTE);
    rig.log.clear();
    rig.obeys = false;
    rig.told_of_keys(Holding::Held);
    rig.fails(Failure::Other);
    rig.run(MINUTE);
    let again = restart(Cause::SpecChanged);
    assert_eq!(rig.deeds(), [again.clone(), again]);
}

#[test]
fn without_a_fence_the_word_means_nothing() {
    let mut rig = Rig::synced();
    rig.told_of_keys(Holding::Lost);
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn volume_is_released_once_after_the_stop_and_before_the_group_gets_the_instance() {
    let mut rig = keyed(WithoutVolume::Nothing);
    rig.obeys = false;
    rig.event(Event::Ec2(Some(Notice {
        kind: NoticeKind::Termination,
        seconds: Some(900),
    })));
    assert_eq!(
        (rig.volume_orders(), rig.answered()),
        (vec![], Some(LifecycleAnswer::Wait))
    );
    rig.obeys = true;
    rig.done(ended());
    rig.run(MINUTE);
    assert_eq!(
        (rig.volume_orders(), rig.answered()),
        (vec!["release_identity"], Some(LifecycleAnswer::Wait)),
        "the volume is not given back yet"
    );
    rig.event(Event::IdentityReleased);
    rig.run(MINUTE);
    assert_eq!(
        (rig.volume_orders(), rig.answered()),
        (vec!["release_identity"], Some(LifecycleAnswer::Complete))
    );
}

#[test]
fn volume_is_held_again_when_the_end_is_called_off() {
    let mut rig = keyed(WithoutVolume::Nothing);
    let notice = Notice {
        kind: NoticeKind::SpotInterruption,
        seconds: Some(120),
    };
    rig.event(Event::Ec2(Some(notice)));
    rig.event(Event::IdentityReleased);
    rig.event(Event::Ec2(None));
    assert_eq!(rig.volume_orders(), ["release_identity", "hold_identity"]);
    assert_eq!(rig.answered(), None);
}

#[test]
fn volume_that_is_not_asked_for_is_never_ordered() {
    let mut rig = Rig::synced();
    rig.event(Event::Ec2(Some(Notice {
        kind: NoticeKind::Termination,
        seconds: None,
    })));
    rig.run(MINUTE);
    assert_eq!(
        (rig.volume_orders(), rig.answered()),
        (vec![], Some(LifecycleAnswer::Complete))
    );
}
