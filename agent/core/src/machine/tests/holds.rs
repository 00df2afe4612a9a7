//! Faults that end a run: what is held, what waits for room, what is started again.

use super::rig::*;
use crate::event::{Event, Exit, HostFacts};
use crate::machine::{Action, Cause, Health, Phase, Policy};

#[test]
fn a_fault_that_no_restart_cures_is_held_and_nobody_starts_it_again() {
    for (log, cause) in [
        ("Backend error: Corruption: bad block", Cause::DatabaseCorrupted),
        (
            "Database version comes from future version of the client",
            Cause::DatabaseNewer,
        ),
        (
            "Database version cannot be read from existing db_version file",
            Cause::DatabaseForeign,
        ),
        ("Database file is in use.", Cause::DataInUse),
        (
            "Bootnode with peer id `12D3` is on a different chain",
            Cause::WrongChain,
        ),
    ] {
        let mut rig = Rig::synced();
        rig.exits(1, &["before", log, "after"]);
        assert_eq!(rig.deeds(), [Action::Hold { cause }]);
        rig.run(24 * HOUR);
        assert_eq!(rig.deeds().len(), 1, "{log}");
        assert_eq!(rig.wrong(), [cause]);
        rig.expect(Phase::Holding, Health::Critical);
    }
}

#[test]
fn bad_arguments_and_a_missing_executable_are_held_too() {
    for (code, cause) in [(2, Cause::BadArguments), (127, Cause::MissingExecutable)] {
        let mut rig = Rig::synced();
        rig.exits(code, &["error: unexpected argument '--x' found"]);
        assert_eq!(rig.deeds(), [Action::Hold { cause }]);
    }
}

#[test]
fn a_hold_stops_what_dockers_policy_started_behind_our_back() {
    let mut rig = Rig::synced();
    rig.obeys = false;
    rig.exits(1, &["Backend error: Corruption: bad block"]);
    rig.runs_anew();
    rig.obeys = true;
    rig.done(running(rig.run));
    let hold = Action::Hold {
        cause: Cause::DatabaseCorrupted,
    };
    assert_eq!(rig.deeds(), [hold.clone(), hold]);
    rig.expect(Phase::Holding, Health::Critical);
}

#[test]
fn a_kill_for_memory_is_restarted_and_says_how_much_there_was() {
    let policy = Policy {
        memory: Some(3 << 30),
        ..Policy::default()
    };
    let mut rig = Rig::with(policy);
    rig.container(running(1));
    rig.run(10 * MINUTE);
    let oom = Exit {
        code: Some(137),
        oom: true,
        log: vec!["Backend error: Corruption: x".to_owned()],
    };
    rig.ends(oom);
    rig.run(40);
    assert_eq!(rig.deeds(), [start(Cause::OutOfMemory)]);
    rig.run(5 * MINUTE);
    assert_eq!(rig.wrong(), [Cause::OutOfMemory]);
    assert!(rig.machine.explain(Cause::OutOfMemory).contains("3072 MiB"));
    rig.expect(Phase::Synced, Health::Degraded);
    rig.run(30 * MINUTE);
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn a_full_disk_stops_the_collator_and_room_starts_it_again() {
    let with_free = |free: u64| HostFacts {
        disk_free_bytes: Some(free),
        ..healthy_host()
    };
    let mut rig = Rig::synced();
    rig.host = Some(with_free(9 << 30));
    rig.run(10 * MINUTE);
    assert_eq!(rig.deeds(), []);
    assert_eq!(rig.wrong(), [Cause::DiskLow]);
    rig.host = Some(with_free((2 << 30) - 1));
    rig.run(10 * MINUTE);
    assert_eq!(rig.deeds(), [Action::Stop { cause: Cause::DiskFull }]);
    rig.expect(Phase::Holding, Health::Critical);
    rig.host = Some(with_free(2 << 30));
    rig.run(10 * MINUTE);
    assert_eq!(rig.deeds().len(), 1, "hardly room: it would be stopped again at once");
    rig.host = Some(with_free(3 << 30));
    rig.run(2 * MINUTE);
    assert_eq!(rig.deeds()[1..], [start(Cause::DiskFreed)]);
}

#[test]
fn an_exit_for_want_of_room_is_held_until_there_is_room() {
    let mut rig = Rig::synced();
    rig.host = None;
    rig.exits(1, &["IO error: No space left on device"]);
    assert_eq!(rig.deeds(), [Action::Hold { cause: Cause::DiskFull }]);
    for free in [0, 60 << 30] {
        rig.host = Some(HostFacts {
            disk_free_bytes: Some(free),
            ..healthy_host()
        });
        rig.run(2 * MINUTE);
        assert_eq!(rig.wrong(), if free == 0 { vec![Cause::DiskFull] } else { vec![] });
    }
    assert_eq!(rig.deeds()[1..], [start(Cause::DiskFreed)]);
}

#[test]
fn an_exit_for_want_of_room_that_the_host_does_not_see_stays_held() {
    let mut rig = Rig::synced();
    rig.exits(1, &["IO error: No space left on device"]);
    rig.run(24 * HOUR);
    assert_eq!(rig.deeds(), [Action::Hold { cause: Cause::DiskFull }]);
    let remedy = rig.machine.explain(Cause::DiskFull);
    assert!(remedy.contains("then t0rn-agent start"), "{remedy}");
}

#[test]
fn state_that_cannot_be_saved_is_a_problem_until_it_is_saved() {
    let mut rig = Rig::synced();
    rig.event(Event::StateUnsaved(Some("no space left".to_owned())));
    rig.expect(Phase::Synced, Health::Degraded);
    assert_eq!(
        (rig.wrong(), rig.told(Cause::StateUnsaved)),
        (vec![Cause::StateUnsaved], 1)
    );
    let text = &rig.machine.problems()[0].text;
    assert_eq!(text, "a restart of the agent would forget what it knows: no space left");
    rig.event(Event::StateUnsaved(None));
    rig.expect(Phase::Synced, Health::Ok);
}

#[test]
fn certificate_that_cannot_be_read_is_a_problem_and_holds_nothing() {
    let mut rig = Rig::synced();
    rig.event(Event::CertificateUnreadable("it is no JSON".to_owned()));
    rig.run(MINUTE);
    assert_eq!((rig.deeds(), rig.wrong()), (vec![], vec![Cause::CertificateUnreadable]));
    rig.expect(Phase::Synced, Health::Degraded);
}
