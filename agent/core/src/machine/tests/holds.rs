//! Faults that end a run: what is held, what waits for room, what is started again.

use super::harness::*;
use crate::event::{Command, Container, Disk, Event, Exit, HostFacts, ScrapeError};
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
            "Error: NetworkKeyNotFound(\"/data/network/secret_ed25519\")",
            Cause::NoNetworkKey,
        ),
        (
            "Error: Service(Client(StateDatabase(\"Incompatible pruning modes [stored: x; requested: y]\")))",
            Cause::PruningMode,
        ),
        ("Error: Permission denied (os error 13)", Cause::DataUnwritable),
        ("Error: Service(Keystore(InvalidPassword))", Cause::NodeFault),
    ] {
        let mut harness = Harness::synced();
        harness.exits(1, &["before", log, "after"]);
        assert_eq!(harness.container_actions(), [Action::Hold { cause }]);
        harness.run(24 * HOUR);
        assert_eq!(harness.container_actions().len(), 1, "{log}");
        assert_eq!(harness.wrong(), [cause]);
        harness.expect(Phase::Holding, Health::Critical);
    }
}

#[test]
fn hold_for_a_last_line_shows_the_remedy_of_its_row() {
    let mut harness = Harness::synced();
    harness.exits(
        1,
        &["Error: Input(\"Error opening spec file: No such file or directory (os error 2)\")"],
    );
    harness.run(MINUTE);
    assert_eq!(harness.wrong(), [Cause::BadArguments]);
    assert_eq!(
        harness.machine.problems()[0].text,
        "the node does not accept its arguments: name the chain spec as the container sees it (--chain, mounts), restart \
         the agent, then t0rn-agent start"
    );
    harness.event(Event::Operator(Command::START));
    harness.exits(2, &["error: unexpected argument '--x' found"]);
    let text = harness.machine.explain(Cause::BadArguments);
    assert!(
        text.contains("mend collator.command"),
        "the remedy is that of the newest end: {text}"
    );
}

#[test]
fn every_cause_of_a_last_line_says_what_is_wrong_and_then_what_to_do() {
    let harness = Harness::synced();
    for cause in Cause::OF_LAST_LINES {
        let text = harness.machine.explain(cause);
        assert!(text.contains(": ") || cause == Cause::DiskFull, "{text}");
    }
}

#[test]
fn line_that_a_node_survives_is_no_reason_for_a_hold() {
    let mut harness = Harness::synced();
    harness.exits(
        1,
        &[
            "Bootnode with peer id `12D3` is on a different chain",
            "Thread 'main' panicked at 'x'",
        ],
    );
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), [start(Cause::Exited)]);
}

#[test]
fn relay_chain_by_rpc_that_is_away_is_told_and_started_again() {
    let mut harness = Harness::synced();
    harness.exits(1, &["[Parachain] No valid RPC url found. Stopping RPC worker."]);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), [Cause::RelayRpcUnreachable]);
    let text = harness.machine.explain(Cause::RelayRpcUnreachable);
    assert!(
        text.contains("--relay-chain-rpc-urls") && text.ends_with("it is started again"),
        "{text}"
    );
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), [start(Cause::RelayRpcUnreachable)]);
}

#[test]
fn flag_of_a_child_that_was_killed_for_memory_hides_no_damage() {
    let mut harness = Harness::synced();
    harness.ends(Exit {
        code: Some(1),
        oom: true,
        log: vec!["Error: Service(Client(Backend(\"DB corrupted: Corruption: x\")))".to_owned()],
    });
    let cause = Cause::DatabaseCorrupted;
    assert_eq!(harness.container_actions(), [Action::Hold { cause }]);
    let mut harness = Harness::synced();
    harness.ends(Exit {
        code: Some(139),
        oom: true,
        log: vec![],
    });
    harness.run(MINUTE);
    assert_eq!(harness.container_actions(), [start(Cause::Exited)]);
    assert_eq!(harness.wrong(), []);
}

#[test]
fn bad_arguments_and_a_missing_executable_are_held_too() {
    for (code, cause) in [(2, Cause::BadArguments), (127, Cause::MissingExecutable)] {
        let mut harness = Harness::synced();
        harness.exits(code, &["error: unexpected argument '--x' found"]);
        assert_eq!(harness.container_actions(), [Action::Hold { cause }]);
    }
}

#[test]
fn a_hold_stops_what_dockers_policy_started_behind_our_back() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.exits(1, &["Backend error: Corruption: bad block"]);
    harness.runs_anew();
    harness.obeys = true;
    harness.done(running(harness.run));
    let hold = Action::Hold {
        cause: Cause::DatabaseCorrupted,
    };
    assert_eq!(harness.container_actions(), [hold.clone(), hold]);
    harness.expect(Phase::Holding, Health::Critical);
}

#[test]
fn a_kill_for_memory_is_restarted_and_says_how_much_there_was() {
    let policy = Policy {
        memory: Some(3 << 30),
        ..Policy::default()
    };
    let mut harness = Harness::with(policy);
    harness.container(running(1));
    harness.run(10 * MINUTE);
    let oom = Exit {
        code: Some(137),
        oom: true,
        log: vec!["Backend error: Corruption: x".to_owned()],
    };
    harness.ends(oom);
    harness.run(40);
    assert_eq!(harness.container_actions(), [start(Cause::OutOfMemory)]);
    harness.run(5 * MINUTE);
    assert_eq!(harness.wrong(), [Cause::OutOfMemory]);
    assert!(harness.machine.explain(Cause::OutOfMemory).contains("3072 MiB"));
    harness.expect(Phase::Synced, Health::Degraded);
    harness.run(30 * MINUTE);
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn memory_limit_that_is_reported_after_the_end_explains_it() {
    for runs in [false, true] {
        let mut harness = Harness::synced();
        let at = Some(harness.wall());
        let ends = |oom| Container::Exited {
            at,
            exit: Exit {
                code: Some(137),
                oom,
                log: vec![],
            },
            spec_matches: true,
        };
        harness.container(ends(false));
        if runs {
            harness.now.0 += 100;
            harness.runs_anew();
        }
        harness.container(ends(true));
        harness.run(MINUTE);
        assert_eq!(harness.wrong(), [Cause::OutOfMemory], "{runs}");
        assert_eq!(harness.machine.crash_restarts(), 1, "{runs}");
    }
}

#[test]
fn a_full_disk_stops_the_collator_and_room_starts_it_again() {
    let with_free = |free: u64| HostFacts {
        disk_free_bytes: Some(free),
        ..healthy_host()
    };
    let mut harness = Harness::synced();
    harness.host = Some(with_free(9 << 30));
    harness.run(10 * MINUTE);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(harness.wrong(), [Cause::DiskLow]);
    harness.host = Some(with_free((2 << 30) - 1));
    harness.run(10 * MINUTE);
    assert_eq!(harness.container_actions(), [Action::Stop { cause: Cause::DiskFull }]);
    harness.expect(Phase::Holding, Health::Critical);
    harness.host = Some(with_free(2 << 30));
    harness.run(10 * MINUTE);
    assert_eq!(
        harness.container_actions().len(),
        1,
        "hardly room: it would be stopped again at once"
    );
    harness.host = Some(with_free(3 << 30));
    harness.run(2 * MINUTE);
    assert_eq!(harness.container_actions()[1..], [start(Cause::DiskFreed)]);
}

#[test]
fn an_exit_for_want_of_room_is_held_until_there_is_room() {
    let mut harness = Harness::synced();
    harness.host = None;
    harness.exits(1, &["IO error: No space left on device"]);
    assert_eq!(harness.container_actions(), [Action::Hold { cause: Cause::DiskFull }]);
    for free in [0, 60 << 30] {
        harness.host = Some(HostFacts {
            disk_free_bytes: Some(free),
            ..healthy_host()
        });
        harness.run(2 * MINUTE);
        assert_eq!(harness.wrong(), if free == 0 { vec![Cause::DiskFull] } else { vec![] });
    }
    assert_eq!(harness.container_actions()[1..], [start(Cause::DiskFreed)]);
}

#[test]
fn an_exit_for_want_of_room_that_the_host_does_not_see_stays_held() {
    let mut harness = Harness::synced();
    harness.exits(1, &["IO error: No space left on device"]);
    harness.run(24 * HOUR);
    assert_eq!(harness.container_actions(), [Action::Hold { cause: Cause::DiskFull }]);
    let remedy = harness.machine.explain(Cause::DiskFull);
    assert!(remedy.contains("then t0rn-agent start"), "{remedy}");
}

#[test]
fn state_that_cannot_be_saved_is_a_problem_until_it_is_saved() {
    let mut harness = Harness::synced();
    harness.event(Event::StateUnsaved(Some("no space left".to_owned())));
    harness.expect(Phase::Synced, Health::Degraded);
    assert_eq!(
        (harness.wrong(), harness.told(Cause::StateUnsaved)),
        (vec![Cause::StateUnsaved], 1)
    );
    let text = &harness.machine.problems()[0].text;
    assert_eq!(text, "a restart of the agent would forget what it knows: no space left");
    harness.event(Event::StateUnsaved(None));
    harness.expect(Phase::Synced, Health::Ok);
}

#[test]
fn state_that_was_set_aside_is_a_problem_until_an_operator_says_what_is_wanted() {
    let why = "its schema is 2, this agent knows 1; kept as state.json.damaged-1";
    for (command, ends) in [
        (Command::START, true),
        (Command::STOP, true),
        (Command::Resume, true),
        (Command::Stop { automatic: true }, false),
        (Command::Start { automatic: true }, false),
        (
            Command::Update {
                image: "registry/collator:2".to_owned(),
                automatic: true,
            },
            false,
        ),
    ] {
        let mut harness = Harness::synced();
        harness.event(Event::StateSetAside(why.to_owned()));
        harness.expect(Phase::Synced, Health::Degraded);
        harness.run(HOUR);
        assert_eq!(
            (harness.wrong(), harness.told(Cause::StateSetAside)),
            (vec![Cause::StateSetAside], 1)
        );
        assert_eq!(
            harness.machine.problems()[0].text,
            format!(
                "the agent's state was not usable: a stop, a pause or an update that an operator asked for may be \
                 forgotten: {why}; ask for it again, or say with t0rn-agent start that the collator is to run"
            )
        );
        harness.agent_dies(1);
        assert!(
            harness.wrong().contains(&Cause::StateSetAside),
            "another agent does not know it either"
        );
        harness.event(Event::Operator(command.clone()));
        assert_eq!(!harness.wrong().contains(&Cause::StateSetAside), ends, "{command:?}");
    }
}

#[test]
fn records_that_cannot_be_written_are_a_problem_until_they_are() {
    let mut harness = Harness::synced();
    harness.event(Event::RecordsUnsaved(Some("no space left".to_owned())));
    harness.expect(Phase::Synced, Health::Degraded);
    harness.run(HOUR);
    assert_eq!(
        (harness.wrong(), harness.told(Cause::RecordsUnsaved)),
        (vec![Cause::RecordsUnsaved], 1)
    );
    assert_eq!(
        harness.machine.problems()[0].text,
        "lines of the flight recorder or an incident could not be saved: no space left"
    );
    harness.event(Event::RecordsUnsaved(None));
    harness.expect(Phase::Synced, Health::Ok);
    harness.run(HOUR);
    assert_eq!(harness.over(Cause::RecordsUnsaved), 1);
}

#[test]
fn refused_configuration_is_a_problem_until_one_is_accepted() {
    let mut harness = Harness::synced();
    let error = "agent.toml:9: key `health.stall_after`: 5 is no duration; write \"5s\"";
    harness.event(Event::ConfigurationRefused(Some(error.to_owned())));
    harness.expect(Phase::Synced, Health::Degraded);
    harness.run(HOUR);
    assert_eq!(
        (harness.wrong(), harness.told(Cause::ConfigurationRefused)),
        (vec![Cause::ConfigurationRefused], 1)
    );
    let text = &harness.machine.problems()[0].text;
    assert_eq!(
        *text,
        format!("the configuration is refused, the former one stays in force: {error}; then t0rn-agent reload")
    );
    assert_eq!(harness.container_actions(), []);
    harness.event(Event::ConfigurationRefused(None));
    harness.expect(Phase::Synced, Health::Ok);
    assert_eq!(harness.over(Cause::ConfigurationRefused), 1);
}

#[test]
fn certificate_that_cannot_be_read_is_a_problem_and_holds_nothing() {
    let mut harness = Harness::synced();
    harness.event(Event::CertificateUnreadable("it is no JSON".to_owned()));
    harness.run(MINUTE);
    assert_eq!(
        (harness.container_actions(), harness.wrong()),
        (vec![], vec![Cause::CertificateUnreadable])
    );
    harness.expect(Phase::Synced, Health::Degraded);
}

#[test]
fn stalled_disk_is_a_problem_of_its_own_and_stops_no_supervision() {
    for (disk, cause, health) in [
        (Disk::State, Cause::StateDiskStalled, Health::Degraded),
        (Disk::Data, Cause::DataDiskStalled, Health::Critical),
        (Disk::Identity, Cause::IdentityDiskStalled, Health::Degraded),
    ] {
        let mut harness = Harness::synced();
        harness.event(Event::DisksStalled(vec![disk]));
        // It says no more than the stall.
        harness.event(Event::StateUnsaved(
            (disk == Disk::State).then(|| "it does not answer".to_owned()),
        ));
        harness.expect(Phase::Synced, health);
        assert_eq!((harness.wrong(), harness.told(cause)), (vec![cause], 1));
        (harness.para.error, harness.relay.error) = (Some(ScrapeError::Timeout), Some(ScrapeError::Timeout));
        harness.run(5 * MINUTE);
        assert_eq!(harness.container_actions(), [restart(Cause::Frozen)], "{disk:?}");
        assert_eq!(harness.told(cause), 1, "once");
        (harness.para.error, harness.relay.error) = (None, None);
        harness.event(Event::StateUnsaved(None));
        harness.event(Event::DisksStalled(vec![]));
        harness.run(HOUR);
        assert!(!harness.wrong().contains(&cause));
    }
}
