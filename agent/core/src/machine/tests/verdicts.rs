//! The words: verdicts with both chains considered, phases, health, notices, deadlines.

use super::rig::*;
use crate::event::{Activity, Chain, Event, Sample, ScrapeError};
use crate::machine::{Cause, Health, Machine, Phase, Policy};
use crate::sync::Verdict;

fn verdict(rig: &Rig, chain: Chain) -> Verdict {
    rig.machine.verdict(rig.now, chain)
}

#[test]
fn before_anything_is_known_nothing_is_claimed() {
    let rig = Rig::fresh();
    rig.expect(Phase::Starting, Health::Unknown);
    assert_eq!(verdict(&rig, Chain::Parachain), Verdict::Unknown);
    assert_eq!(rig.machine.next_deadline(), None);
}

#[test]
fn a_young_container_without_exporter_is_starting() {
    let mut rig = Rig::fresh();
    rig.runs_anew();
    rig.para.error = Some(crate::event::ScrapeError::Refused);
    rig.relay.error = rig.para.error;
    rig.run(9 * MINUTE);
    assert_eq!(verdict(&rig, Chain::Parachain), Verdict::Starting);
}

#[test]
fn syncing_and_synced_need_progress() {
    let mut rig = Rig::synced();
    assert_eq!(verdict(&rig, Chain::Parachain), Verdict::Synced);
    rig.expect(Phase::Synced, Health::Ok);
    rig.para.behind = 5_000;
    rig.run(10);
    assert_eq!(verdict(&rig, Chain::Parachain), Verdict::Syncing);
    rig.expect(Phase::Syncing, Health::Ok);
}

#[test]
fn without_peers_a_node_is_never_called_synced() {
    let mut rig = Rig::synced();
    rig.para.peers = Some(0);
    rig.run(5);
    rig.run_with(HOUR, |rig| {
        assert_ne!(verdict(rig, Chain::Parachain), Verdict::Synced);
        assert_ne!(verdict(rig, Chain::Parachain), Verdict::Quiet);
    });
}

#[test]
fn a_parachain_waits_for_a_relay_chain_that_syncs_for_as_long_as_that_takes() {
    let mut rig = Rig::synced();
    (rig.para.moves, rig.para.behind) = (false, 5_000);
    rig.relay.behind = 100_000;
    rig.run(6 * HOUR);
    assert_eq!(rig.deeds(), []);
    assert_eq!(verdict(&rig, Chain::Parachain), Verdict::WaitingForRelay);
    rig.expect(Phase::WaitingForRelay, Health::Ok);
    rig.relay.behind = 0;
    let since = rig.seconds();
    rig.run(10 * MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled)], "no longer excused");
    assert_eq!(rig.times(since), [305]);
}

#[test]
fn a_parachain_does_not_wait_for_a_relay_chain_that_is_stuck_itself() {
    let mut rig = Rig::synced();
    (rig.para.moves, rig.para.behind) = (false, 5_000);
    (rig.relay.moves, rig.relay.behind) = (false, 100_000);
    rig.run(6 * MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled)]);
}

#[test]
fn work_that_shows_postpones_a_stall_three_windows_and_no_longer() {
    let busy = |rig: &mut Rig| {
        rig.event(Event::Activity(Activity {
            cpu_percent: Some(170.0),
            block_read_bytes: None,
        }));
    };
    let reading = |rig: &mut Rig| {
        rig.event(Event::Activity(Activity {
            cpu_percent: Some(3.0),
            block_read_bytes: Some(rig.seconds() * (5 << 20)),
        }));
    };
    let downloading = |rig: &mut Rig| rig.para.traffic = 100 << 10;
    for work in [busy as fn(&mut Rig), reading, downloading] {
        let mut rig = Rig::synced();
        (rig.para.moves, rig.para.behind) = (false, 5_000);
        let since = rig.seconds();
        rig.run_with(890, work);
        assert_eq!(rig.deeds(), []);
        rig.run_with(30, work);
        assert_eq!(rig.deeds(), [restart(Cause::Stalled)]);
        let at = rig.times(since)[0];
        assert!((900..=910).contains(&at), "{at}");
    }
}

#[test]
fn idle_work_postpones_nothing() {
    let mut rig = Rig::synced();
    (rig.para.moves, rig.para.behind) = (false, 5_000);
    rig.para.traffic = 20 << 10;
    let since = rig.seconds();
    rig.run_with(6 * MINUTE, |rig| {
        rig.event(Event::Activity(Activity {
            cpu_percent: Some(30.0),
            block_read_bytes: Some(rig.seconds() * 1000),
        }));
    });
    assert_eq!(rig.times(since), [300]);
}

#[test]
fn traffic_of_a_node_that_does_not_sync_is_no_work() {
    let mut rig = Rig::synced();
    (rig.relay.moves, rig.relay.network_moves) = (false, false);
    (rig.para.moves, rig.para.network_moves) = (false, false);
    rig.relay.traffic = 500 << 10;
    rig.run(6 * MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled)]);
}

#[test]
fn old_news_of_work_excuse_nothing() {
    let mut rig = Rig::synced();
    (rig.para.moves, rig.para.behind) = (false, 5_000);
    rig.event(Event::Activity(Activity {
        cpu_percent: Some(170.0),
        block_read_bytes: None,
    }));
    let since = rig.seconds();
    rig.run(10 * MINUTE);
    assert_eq!(rig.times(since), [420], "two minutes of it were excused");
}

#[test]
fn a_trace_without_any_container_news_is_judged_too() {
    let mut rig = Rig::fresh();
    rig.up = true;
    rig.run(MINUTE);
    rig.expect(Phase::Synced, Health::Ok);
    (rig.para.moves, rig.para.behind) = (false, 5_000);
    rig.run(6 * MINUTE);
    assert_eq!(rig.deeds(), [restart(Cause::Stalled)]);
}

#[test]
fn a_relay_chain_in_sync_says_nothing_of_a_parachain_that_does_not_answer() {
    let mut rig = Rig::synced();
    rig.para.error = Some(ScrapeError::Timeout);
    rig.run(MINUTE);
    assert_eq!(rig.machine.phase(), Phase::Starting);
}

#[test]
fn a_single_chain_is_judged_alone() {
    for other in [Chain::Parachain, Chain::Relaychain] {
        for configured in [true, false] {
            let mut policy = Policy::default();
            if !configured {
                policy.chains.retain(|c| *c != other);
            }
            let mut rig = Rig::with(policy);
            match other {
                Chain::Parachain => rig.para.unseen = true,
                Chain::Relaychain => rig.relay.unseen = true,
            }
            rig.runs_anew();
            rig.run(10 * MINUTE);
            rig.expect(Phase::Synced, Health::Ok);
            let node = if other == Chain::Parachain {
                &mut rig.relay
            } else {
                &mut rig.para
            };
            (node.moves, node.behind) = (false, 5_000);
            let since = rig.seconds();
            rig.run(6 * MINUTE);
            assert_eq!(rig.times(since), [300]);
        }
    }
}

#[test]
fn news_of_a_chain_that_is_not_configured_are_ignored() {
    let policy = Policy {
        chains: vec![Chain::Parachain],
        ..Policy::default()
    };
    let mut rig = Rig::with(policy);
    rig.runs_anew();
    (rig.relay.moves, rig.relay.behind) = (false, 5_000);
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
    assert_eq!(verdict(&rig, Chain::Relaychain), Verdict::Unknown);
}

#[test]
fn an_empty_page_is_neither_healthy_nor_unhealthy() {
    let mut rig = Rig::fresh();
    rig.runs_anew();
    for second in 0..HOUR {
        rig.now.0 = second * 1000;
        for chain in Chain::ALL {
            rig.event(Event::Sample {
                chain,
                sample: Sample::default(),
            });
        }
    }
    assert_eq!(rig.deeds(), []);
    rig.expect(Phase::Starting, Health::Unknown);
}

#[test]
fn time_that_runs_backwards_counts_as_no_time() {
    let mut rig = Rig::synced();
    rig.now.0 -= 60_000;
    rig.look(Chain::Parachain);
    assert_eq!(rig.machine.state().now().0 / 1000, 2 * MINUTE);
    rig.run(HOUR);
    assert_eq!(rig.deeds(), []);
}

#[test]
fn the_next_deadline_never_lies_in_the_past() {
    let mut rig = Rig::synced();
    rig.obeys = false;
    rig.exits(1, &[]);
    rig.command(pause(30));
    assert_eq!(rig.machine.next_deadline().map(|t| t.0 / 1000), Some(2 * MINUTE + 30));
    rig.now.0 += HOUR * 1000;
    rig.event(Event::Tick);
    assert_eq!(rig.machine.next_deadline(), None);
    assert_eq!(rig.deeds(), [start(Cause::Exited)]);
}

#[test]
fn every_notice_is_given_once_and_taken_back_once() {
    let mut rig = Rig::synced();
    rig.para.error = Some(crate::event::ScrapeError::Refused);
    rig.run(HOUR);
    rig.para.error = None;
    rig.run(HOUR);
    let notices: Vec<_> = rig.log.iter().map(|(_, a)| a.clone()).collect();
    let notice = |over| crate::machine::Action::Notify {
        cause: Cause::Blind,
        over,
    };
    assert_eq!(notices, [notice(false), notice(true)]);
}

#[test]
fn every_cause_has_a_name_and_a_sentence_without_a_full_stop() {
    let machine = Machine::new(Policy::default(), crate::event::Time(0));
    let causes = Cause::HEALTH
        .into_iter()
        .chain([Cause::Exited, Cause::Paused, Cause::OutOfMemory, Cause::ClockOff]);
    for cause in causes {
        let text = machine.explain(cause);
        assert!(!text.is_empty() && !text.ends_with('.'), "{cause:?}: {text}");
        assert!(!cause.name().is_empty());
    }
}
