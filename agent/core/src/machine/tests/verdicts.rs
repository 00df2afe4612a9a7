//! The words: verdicts with both chains considered, phases, health, notices, deadlines.

use strum::VariantArray as _;

use super::harness::*;
use crate::chain_health::Verdict;
use crate::event::{Activity, Chain, Event, Sample, ScrapeError};
use crate::machine::{Cause, Health, Machine, Phase, Policy};

fn verdict(harness: &Harness, chain: Chain) -> Verdict {
    harness.machine.verdict(harness.now, chain)
}

#[test]
fn before_anything_is_known_nothing_is_claimed() {
    let harness = Harness::fresh();
    harness.expect(Phase::Starting, Health::Unknown);
    assert_eq!(verdict(&harness, Chain::Parachain), Verdict::Unknown);
    assert_eq!(harness.machine.next_deadline(), None);
}

#[test]
fn a_young_container_without_exporter_is_starting() {
    let mut harness = Harness::fresh();
    harness.runs_anew();
    harness.para.error = Some(crate::event::ScrapeError::Refused);
    harness.relay.error = harness.para.error;
    harness.run(9 * MINUTE);
    assert_eq!(verdict(&harness, Chain::Parachain), Verdict::Starting);
}

#[test]
fn syncing_and_synced_need_progress() {
    let mut harness = Harness::synced();
    assert_eq!(verdict(&harness, Chain::Parachain), Verdict::Synced);
    harness.expect(Phase::Synced, Health::Ok);
    harness.para.behind = 5_000;
    harness.run(10);
    assert_eq!(verdict(&harness, Chain::Parachain), Verdict::Syncing);
    harness.expect(Phase::Syncing, Health::Ok);
}

#[test]
fn without_peers_a_node_is_never_called_synced() {
    let mut harness = Harness::synced();
    harness.para.peers = Some(0);
    harness.run(5);
    harness.run_with(HOUR, |harness| {
        assert_ne!(verdict(harness, Chain::Parachain), Verdict::Synced);
        assert_ne!(verdict(harness, Chain::Parachain), Verdict::Quiet);
    });
}

#[test]
fn parachain_waits_for_syncing_relay_chain_without_limit() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.behind) = (false, 5_000);
    harness.relay.behind = 100_000;
    harness.run(6 * HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(verdict(&harness, Chain::Parachain), Verdict::WaitingForRelay);
    harness.expect(Phase::WaitingForRelay, Health::Ok);
    harness.relay.behind = 0;
    let since = harness.seconds();
    harness.run(10 * MINUTE);
    assert_eq!(
        harness.container_actions(),
        [restart(Cause::Stalled)],
        "no longer excused"
    );
    assert_eq!(harness.times(since), [305]);
}

#[test]
fn a_parachain_does_not_wait_for_a_relay_chain_that_is_stuck_itself() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.behind) = (false, 5_000);
    (harness.relay.moves, harness.relay.behind) = (false, 100_000);
    harness.run(6 * MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
}

#[test]
fn work_that_shows_postpones_a_stall_three_windows_and_no_longer() {
    let busy = |harness: &mut Harness| {
        harness.event(Event::Activity(Activity {
            cpu_percent: Some(170.0),
            block_read_bytes: None,
            block_write_bytes: None,
        }));
    };
    let reading = |harness: &mut Harness| {
        harness.event(Event::Activity(Activity {
            cpu_percent: Some(3.0),
            block_read_bytes: Some(harness.seconds() * (5 << 20)),
            block_write_bytes: None,
        }));
    };
    let downloading = |harness: &mut Harness| harness.para.traffic = 100 << 10;
    for work in [busy as fn(&mut Harness), reading, downloading] {
        let mut harness = Harness::synced();
        (harness.para.moves, harness.para.behind) = (false, 5_000);
        let since = harness.seconds();
        harness.run_with(890, work);
        assert_eq!(harness.container_actions(), []);
        harness.run_with(30, work);
        assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
        let at = harness.times(since)[0];
        assert!((900..=910).contains(&at), "{at}");
    }
}

#[test]
fn idle_work_postpones_nothing() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.behind) = (false, 5_000);
    harness.para.traffic = 20 << 10;
    let since = harness.seconds();
    harness.run_with(6 * MINUTE, |harness| {
        harness.event(Event::Activity(Activity {
            cpu_percent: Some(30.0),
            block_read_bytes: Some(harness.seconds() * 1000),
            block_write_bytes: None,
        }));
    });
    assert_eq!(harness.times(since), [300]);
}

#[test]
fn traffic_of_a_node_that_does_not_sync_is_no_work() {
    let mut harness = Harness::synced();
    (harness.relay.moves, harness.relay.network_moves) = (false, false);
    (harness.para.moves, harness.para.network_moves) = (false, false);
    harness.relay.traffic = 500 << 10;
    harness.run(6 * MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
}

#[test]
fn old_news_of_work_excuse_nothing() {
    let mut harness = Harness::synced();
    (harness.para.moves, harness.para.behind) = (false, 5_000);
    harness.event(Event::Activity(Activity {
        cpu_percent: Some(170.0),
        block_read_bytes: None,
        block_write_bytes: None,
    }));
    let since = harness.seconds();
    harness.run(10 * MINUTE);
    assert_eq!(harness.times(since), [420], "two minutes of it were excused");
}

#[test]
fn a_trace_without_any_container_news_is_judged_too() {
    let mut harness = Harness::fresh();
    harness.up = true;
    harness.run(2 * MINUTE);
    harness.expect(Phase::Synced, Health::Ok);
    (harness.para.moves, harness.para.behind) = (false, 5_000);
    harness.run(6 * MINUTE);
    assert_eq!(harness.container_actions(), [restart(Cause::Stalled)]);
}

#[test]
fn a_relay_chain_in_sync_says_nothing_of_a_parachain_that_does_not_answer() {
    let mut harness = Harness::synced();
    harness.para.error = Some(ScrapeError::Timeout);
    harness.run(MINUTE);
    assert_eq!(harness.machine.phase(), Phase::Starting);
}

#[test]
fn a_single_chain_is_judged_alone() {
    for other in [Chain::Parachain, Chain::Relaychain] {
        for configured in [true, false] {
            let mut policy = Policy::default();
            if !configured {
                policy.chains.retain(|c| *c != other);
            }
            let mut harness = Harness::with(policy);
            match other {
                Chain::Parachain => harness.para.unseen = true,
                Chain::Relaychain => harness.relay.unseen = true,
            }
            harness.runs_anew();
            harness.run(10 * MINUTE);
            harness.expect(Phase::Synced, Health::Ok);
            let node = if other == Chain::Parachain {
                &mut harness.relay
            } else {
                &mut harness.para
            };
            (node.moves, node.behind) = (false, 5_000);
            let since = harness.seconds();
            harness.run(6 * MINUTE);
            assert_eq!(harness.times(since), [300]);
        }
    }
}

#[test]
fn news_of_a_chain_that_is_not_configured_are_ignored() {
    let policy = Policy {
        chains: vec![Chain::Parachain],
        ..Policy::default()
    };
    let mut harness = Harness::with(policy);
    harness.runs_anew();
    (harness.relay.moves, harness.relay.behind) = (false, 5_000);
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
    assert_eq!(verdict(&harness, Chain::Relaychain), Verdict::Unknown);
}

#[test]
fn an_empty_page_is_neither_healthy_nor_unhealthy() {
    let mut harness = Harness::fresh();
    harness.runs_anew();
    for second in 0..HOUR {
        harness.now.0 = second * 1000;
        for &chain in Chain::VARIANTS {
            harness.event(Event::Sample {
                chain,
                sample: Sample::default(),
            });
        }
    }
    assert_eq!(harness.container_actions(), []);
    harness.expect(Phase::Starting, Health::Unknown);
}

#[test]
fn time_that_runs_backwards_counts_as_no_time() {
    let mut harness = Harness::synced();
    harness.now.0 -= 60_000;
    harness.look(Chain::Parachain);
    assert_eq!(harness.machine.state().now.0 / 1000, 2 * MINUTE);
    harness.run(HOUR);
    assert_eq!(harness.container_actions(), []);
}

#[test]
fn the_next_deadline_never_lies_in_the_past() {
    let mut harness = Harness::synced();
    harness.obeys = false;
    harness.exits(1, &[]);
    harness.command(pause(30));
    assert_eq!(
        harness.machine.next_deadline().map(|t| t.0 / 1000),
        Some(2 * MINUTE + 30)
    );
    harness.now.0 += HOUR * 1000;
    harness.event(Event::Tick);
    assert_eq!(harness.machine.next_deadline(), None);
    assert_eq!(harness.container_actions(), [start(Cause::Exited)]);
}

#[test]
fn every_notice_is_given_once_and_taken_back_once() {
    let mut harness = Harness::synced();
    harness.para.error = Some(crate::event::ScrapeError::Refused);
    harness.run(HOUR);
    harness.para.error = None;
    harness.run(HOUR);
    let notices: Vec<_> = harness.log.iter().map(|(_, a)| a.clone()).collect();
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
        assert!(!cause.into_str().is_empty());
    }
}
