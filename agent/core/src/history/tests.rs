#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod spans;

use proptest::collection::vec;
use proptest::prelude::*;
use strum::VariantArray as _;

use super::*;
use crate::event::{Exit, Notice, NoticeKind, Reading, Sample};

/// 2026-11-22T22:50:00Z, Unix milliseconds: the beginning of no slot.
const NOW: i64 = 1_795_387_800_000;
const DAY: HistoryRange = HistoryRange::Day;
const SLOT_MS: i64 = DAY.slot_ms();
const N: usize = DAY.slots() as usize;
const MINUTE: i64 = 60_000;

fn sample(chain: Chain, best: u64, target: u64) -> Event {
    Event::Sample {
        chain,
        sample: Sample {
            best: Some(best),
            target: Some(target),
            ..Sample::default()
        },
    }
}

fn exited(at: i64, code: i64) -> Event {
    Event::Container(Container::Exited {
        at: Some(at),
        exit: Exit {
            code: Some(code),
            oom: code == 137,
            log: Vec::new(),
        },
        spec_matches: true,
    })
}

fn done(at: i64) -> Event {
    let container = Container::Running {
        started_at: Some(at),
        spec_matches: true,
    };
    Event::Finished(Outcome::Done {
        container,
        at: Some(at),
    })
}

fn notice(kind: NoticeKind) -> Event {
    Event::Ec2(Some(Notice { kind, seconds: None }))
}

/// Heights of their differences.
fn heights(deltas: &[Option<i64>]) -> Vec<Option<i64>> {
    let mut height = 0;
    let add = |delta: &Option<i64>| {
        height += (*delta)?;
        Some(height)
    };
    deltas.iter().map(add).collect()
}

/// The newest heights of the parachain, from the end.
fn bests(history: &History, now: i64, n: usize) -> Vec<Option<i64>> {
    let view = history.view(DAY, now);
    let best = view.chains.get(&Chain::Parachain).map(|h| heights(&h.best));
    best.unwrap_or_else(|| vec![None; N])
        .into_iter()
        .rev()
        .take(n)
        .collect()
}

fn marks(history: &History) -> Vec<(MarkKind, Option<i64>, Option<bool>)> {
    let view = history.view(DAY, NOW);
    view.marks.iter().map(|m| (m.what, m.code, m.helped)).collect()
}

#[test]
fn each_slot_keeps_the_newest_heights_of_both_chains() {
    let mut history = History::default();
    history.event(NOW - SLOT_MS, &sample(Chain::Parachain, 10, 99));
    history.event(NOW, &sample(Chain::Parachain, 11, 100));
    history.event(NOW + 1, &sample(Chain::Parachain, 12, 100));
    history.event(NOW + 1, &sample(Chain::Relaychain, 7, 8));
    let view = history.view(DAY, NOW + 2);
    let [para, relay] = [Chain::Parachain, Chain::Relaychain].map(|chain| &view.chains[&chain]);
    assert_eq!((para.best.len(), para.target.len()), (N, N));
    assert_eq!(heights(&para.best)[N - 2..], [Some(10), Some(12)]);
    assert_eq!(heights(&para.target)[N - 2..], [Some(99), Some(100)]);
    assert_eq!(relay.best[N - 2..], [None, Some(7)]);
    let last = view.from + (i64::from(DAY.slots()) - 1) * view.slot_seconds;
    assert!((last..last + view.slot_seconds).contains(&(NOW / 1000)));
}

#[test]
fn what_nobody_saw_is_a_gap_and_no_number() {
    let mut history = History::default();
    history.event(NOW - 3 * SLOT_MS, &sample(Chain::Parachain, 10, 10));
    history.event(
        NOW - 2 * SLOT_MS,
        &Event::ScrapeFailed {
            chain: Chain::Parachain,
            error: crate::event::ScrapeError::Refused,
        },
    );
    history.event(NOW, &sample(Chain::Parachain, 11, 11));
    assert_eq!(bests(&history, NOW, 5), [Some(11), None, None, Some(10), None]);
    // A page without a height leaves the one before it in its slot.
    let empty = Event::Sample {
        chain: Chain::Parachain,
        sample: Sample::default(),
    };
    history.event(NOW, &empty);
    assert_eq!(bests(&history, NOW, 1), [Some(11)]);
}

#[test]
fn what_is_older_than_the_range_is_forgotten() {
    for &range in HistoryRange::VARIANTS {
        let mut history = History::default();
        history.event(NOW, &sample(Chain::Parachain, 10, 10));
        history.action(NOW, "restart", "stalled", None);
        let old = history.view(range, NOW + range.length_ms() - range.slot_ms());
        assert_eq!((old.chains.len(), old.marks.len()), (1, 1), "{range:?}");
        let older = history.view(range, NOW + range.length_ms());
        assert_eq!((older.chains.len(), older.marks.len()), (0, 0), "{range:?}");
    }
}

#[test]
fn a_week_has_the_newest_height_of_each_half_hour() {
    let mut history = History::default();
    let half_hour = HistoryRange::Week.slot_ms();
    for n in 0..2000_u32 {
        let at = NOW - i64::from(2000 - n) * 5 * MINUTE;
        history.event(at, &sample(Chain::Parachain, u64::from(n), 5000));
    }
    let view = history.view(HistoryRange::Week, NOW);
    assert_eq!((view.slots, view.slot_seconds), (336, 1800));
    let best = heights(&view.chains[&Chain::Parachain].best);
    assert_eq!((best.len(), best[335]), (336, Some(1999)));
    // 22:30 has just begun; each slot before it ends with the sample five minutes before the next.
    assert_eq!((NOW.rem_euclid(half_hour), best[334]), (20 * MINUTE, Some(1995)));
    assert_eq!(
        best[4..335]
            .windows(2)
            .filter(|pair| pair[1] != pair[0].map(|n| n + 6))
            .count(),
        0
    );
}

#[test]
fn a_step_of_the_clock_neither_shows_the_future_nor_spoils_what_comes() {
    let (mut history, ahead) = (History::default(), NOW + DAY.length_ms() / 2);
    history.event(ahead, &sample(Chain::Parachain, 99, 99));
    history.action(ahead, "restart", "stalled", None);
    history.event(NOW, &sample(Chain::Parachain, 10, 10));
    assert_eq!(bests(&history, NOW, 2), [Some(10), None]);
    assert!(marks(&history).is_empty());
    history.event(ahead, &sample(Chain::Parachain, 20, 20));
    assert_eq!(bests(&history, ahead, 1), [Some(20)]);
}

#[test]
fn a_restart_is_marked_with_its_cause_and_whether_it_helped() {
    let mut history = History::default();
    history.action(NOW - 30 * MINUTE, "restart", "stalled", None);
    history.event(NOW - 29 * MINUTE, &done(NOW - 29 * MINUTE));
    history.action(NOW - 28 * MINUTE, "judged", "stalled", Some(false));
    history.action(NOW - 20 * MINUTE, "restart", "stalled", None);
    history.action(NOW - 20 * MINUTE, "notify", "stalled", None);
    history.action(NOW - 10 * MINUTE, "restart", "frozen", None);
    history.action(NOW - 9 * MINUTE, "judged", "frozen", Some(true));
    let restart = |helped| (MarkKind::Restart, None, helped);
    assert_eq!(
        marks(&history),
        [restart(Some(false)), restart(None), restart(Some(true))]
    );
    let causes: Vec<_> = history.view(DAY, NOW).marks.iter().map(|m| m.cause).collect();
    assert_eq!(causes, [Cause::Stalled, Cause::Stalled, Cause::Frozen].map(Some));
}

#[test]
fn judgement_is_of_the_last_restart_for_its_cause() {
    let mut history = History::default();
    for (minute, cause) in [(40, "stalled"), (30, "stalled"), (20, "frozen")] {
        history.action(NOW - minute * MINUTE, "restart", cause, None);
    }
    history.action(NOW - 10 * MINUTE, "judged", "stalled", Some(true));
    let restart = |helped| (MarkKind::Restart, None, helped);
    assert_eq!(marks(&history), [restart(None), restart(Some(true)), restart(None)]);
}

#[test]
fn an_end_is_marked_once_and_only_when_it_was_not_ours() {
    let mut history = History::default();
    let at = NOW - 10 * MINUTE;
    history.event(at + 5, &exited(at, 101));
    // Told again by the next snapshot, also after the agent began anew.
    history.event(at + MINUTE, &exited(at, 101));
    let mut again = History::default();
    again.event(NOW, &exited(at, 101));
    again.absorb(&history);
    let exit = |code| (MarkKind::Exit, Some(code), None);
    assert_eq!(marks(&again), [exit(101)]);
    assert_eq!(again.view(DAY, NOW).marks[0].at, at);

    let ours = NOW - 5 * MINUTE;
    again.action(ours, "restart", "frozen", None);
    again.event(ours + 1, &exited(ours + 1, 143));
    again.event(ours + 10, &done(ours + 10));
    // MarkKind Docker tells late is still about our own doing; what comes after it is not.
    again.event(ours + 11, &exited(ours + 2, 143));
    again.event(ours + 12, &exited(ours + 12, 137));
    assert_eq!(marks(&again), [exit(101), (MarkKind::Restart, None, None), exit(137)]);
    assert_eq!(again.view(DAY, NOW).marks[2].cause, Some(Cause::OutOfMemory));

    // A start that ends at once is an end all the same.
    again.action(NOW - 3, "start", "exited", None);
    again.event(NOW - 2, &exited(NOW - 2, 1));
    assert_eq!(marks(&again)[3..], [(MarkKind::Start, None, None), exit(1)]);
}

#[test]
fn in_a_crash_loop_the_newest_marks_stay() {
    let mut history = History::default();
    for n in 0..1000 {
        history.event(NOW - 1000 + n, &exited(NOW - 1000 + n, n));
    }
    let view = history.view(DAY, NOW);
    assert_eq!(view.marks.len(), MARKS);
    assert_eq!(view.marks.last().unwrap().code, Some(999));
}

#[test]
fn the_document_has_a_bound() {
    let mut history = History::default();
    for n in (0..2 * i64::from(DAY.slots())).rev() {
        for &chain in Chain::VARIANTS {
            let height = if n % 2 == 0 { u64::from(u32::MAX) - 1 } else { 0 };
            let at = NOW - n * SLOT_MS;
            history.event(at, &sample(chain, height, height));
            let reading = Ok(Reading {
                best: Some(height),
                ..Reading::default()
            });
            history.event(
                at,
                &Event::Reference {
                    chain,
                    source: 0,
                    reading,
                },
            );
            let waits = [
                "State sync (0 peers), best: #0 (0x1…2)",
                "Idle (0 peers), best: #0 (0x1…2)",
            ];
            let prefix = ["[Parachain] ", "[Relaychain] "][chain as usize];
            history.event(
                at,
                &Event::Log(vec![format!("{prefix}{}", waits[usize::from(n % 2 == 0)])]),
            );
        }
    }
    for n in 0..1000 {
        history.event(NOW - n, &exited(NOW - n, i64::MIN));
        let reason = "\u{1}<é>".repeat(1000);
        history.event(NOW - n, &Event::Operator(Command::Pause { seconds: 9, reason }));
    }
    for &range in HistoryRange::VARIANTS {
        let view = history.view(range, NOW);
        let runs: Vec<_> = view.chains.values().map(|chain| chain.phases.len()).collect();
        assert!(range != DAY || runs == [N; 2], "{runs:?}");
        let size = serde_json::to_string(&view).unwrap().len();
        assert!(size < 128 * 1024, "{size}");
    }
}

#[test]
fn a_height_of_more_than_32_bits_is_a_gap() {
    let mut history = History::default();
    history.event(
        NOW,
        &sample(Chain::Parachain, u64::from(u32::MAX) - 1, u64::from(u32::MAX)),
    );
    let view = history.view(DAY, NOW);
    let chain = &view.chains[&Chain::Parachain];
    assert_eq!(chain.best.last(), Some(&Some(i64::from(u32::MAX) - 1)));
    assert_eq!(chain.target.last(), Some(&None));
}

#[test]
fn what_is_seen_meanwhile_is_kept_before_what_is_read_back() {
    let mut history = History::default();
    history.event(NOW, &sample(Chain::Parachain, 20, 30));
    let mut earlier = History::default();
    earlier.event(NOW, &sample(Chain::Parachain, 10, 10));
    earlier.event(NOW, &sample(Chain::Relaychain, 5, 6));
    earlier.event(NOW - SLOT_MS, &sample(Chain::Parachain, 9, 10));
    history.absorb(&earlier);
    assert_eq!(bests(&history, NOW, 3), [Some(20), Some(9), None]);
    assert_eq!(
        history.view(DAY, NOW).chains[&Chain::Relaychain].best.last(),
        Some(&Some(5))
    );
}

proptest! {
    #[test]
    fn whatever_is_told_at_whatever_time_the_view_is_whole(
        told in vec((any::<i64>(), 0..9_u8, any::<u64>()), 0..200), now in any::<i64>()
    ) {
        let mut history = History::default();
        for (at, kind, n) in told {
            match kind {
                0 => history.event(at, &sample(Chain::Parachain, n, n)),
                1 => history.event(at, &exited(at.wrapping_add(n.cast_signed()), 1)),
                2 => history.action(at, "restart", "stalled", None),
                3 => history.action(at, "judged", "stalled", Some(true)),
                4 => history.event(at, &done(at)),
                5 => history.event(at, &notice(NoticeKind::Rebalance)),
                6 => history.event(at, &Event::Ec2(None)),
                7 => history.event(at, &Event::Operator(Command::Pause { seconds: n, reason: String::new() })),
                _ => history.event(at, &Event::Gap),
            }
        }
        let view = history.view(DAY, now);
        prop_assert!(view.marks.len() <= MARKS && view.spans.len() <= 64);
        prop_assert!(view.spans.iter().all(|span| span.to.is_none_or(|to| to >= span.from)));
        prop_assert!(view.marks.is_sorted_by_key(|mark| mark.at));
        prop_assert!(view.chains.values().all(|h| h.best.len() == N && h.target.len() == N));
    }
}
