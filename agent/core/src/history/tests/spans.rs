//! What lasted, and what is shown beside the heights.

use super::*;
use crate::informant::SyncPhase;

#[test]
fn a_slot_has_the_highest_reference() {
    let mut history = History::default();
    let reading = |source, best| Event::Reference {
        chain: Chain::Parachain,
        source,
        reading: Ok(Reading {
            best,
            ..Reading::default()
        }),
    };
    history.event(NOW - SLOT_MS, &sample(Chain::Parachain, 1, 1));
    assert_eq!(history.view(DAY, NOW).chains[&Chain::Parachain].reference, None);
    for event in [reading(0, Some(12)), reading(1, Some(11)), reading(2, None)] {
        history.event(NOW, &event);
    }
    let view = history.view(DAY, NOW);
    let reference = view.chains[&Chain::Parachain].reference.clone().unwrap();
    assert_eq!(reference[N - 2..], [None, Some(12)]);
}

#[test]
fn a_phase_that_only_the_log_shows_counts_for_its_slot() {
    let mut history = History::default();
    let syncs = |major_syncing| Event::Sample {
        chain: Chain::Relaychain,
        sample: Sample {
            major_syncing: Some(major_syncing),
            ..Sample::default()
        },
    };
    let at = |slots_ago: i64| NOW - slots_ago * SLOT_MS;
    history.event(at(5), &syncs(true));
    history.event(at(4), &syncs(true));
    history.event(at(4), &syncs(false));
    let line =
        "[Relaychain] ⚙️  Downloading state, 8%, 1.0 MiB (3 peers), best: #0 (0x1…2), finalized #0 (0x1…2), ⬇ 1 ⬆ 0";
    history.event(at(2), &Event::Log(vec![line.to_owned()]));
    history.event(at(2), &syncs(true));
    history.event(at(1), &syncs(false));
    history.event(at(0), &syncs(false));
    let view = history.view(DAY, NOW);
    let first = u16::try_from(N - 6).unwrap();
    assert_eq!(
        view.chains[&Chain::Relaychain].phases,
        [
            (first, 1, SyncPhase::FullSync),
            (first + 1, 1, SyncPhase::Idle),
            (first + 3, 1, SyncPhase::StateDownload),
            (first + 4, 2, SyncPhase::Idle)
        ]
    );
}

/// The spans, with times in minutes before now.
fn spans(history: &History) -> Vec<Span> {
    let ago = |at: i64| (NOW - at) / MINUTE;
    let spans = history.view(DAY, NOW).spans.into_iter();
    let relative = |span: Span| Span {
        from: ago(span.from),
        to: span.to.map(ago),
        ..span
    };
    spans.map(relative).collect()
}

fn span(what: SpanKind, from: i64, to: Option<i64>, about: &str, succeeded: Option<bool>) -> Span {
    Span {
        what,
        from,
        to,
        about: about.to_owned(),
        succeeded,
    }
}

#[test]
fn updates_notices_and_pauses_last_until_they_end() {
    let mut history = History::default();
    let ago = |minutes: i64| NOW - minutes * MINUTE;
    let update = |image: &str| {
        Event::Operator(Command::Update {
            image: image.to_owned(),
            automatic: false,
        })
    };
    history.event(ago(60), &update("x:2"));
    history.action(ago(60), "pull", "update", None);
    history.action(ago(50), "updated", "update_failed", None);
    let pause = |seconds, reason: &str| {
        Event::Operator(Command::Pause {
            seconds,
            reason: reason.to_owned(),
        })
    };
    history.event(ago(40), &pause(3600, "a\nb"));
    history.event(ago(30), &Event::Operator(Command::Resume));
    history.event(ago(25), &pause(3600, ""));
    history.event(ago(20), &notice(NoticeKind::Rebalance));
    history.event(ago(19), &notice(NoticeKind::Rebalance));
    history.event(ago(15), &notice(NoticeKind::SpotInterruption));
    history.event(ago(5), &Event::Ec2(None));
    history.action(ago(4), "pull", "update", None);
    assert_eq!(
        spans(&history),
        [
            span(SpanKind::Update, 60, Some(50), "x:2", Some(false)),
            span(SpanKind::Pause, 40, Some(30), "a b", None),
            span(SpanKind::Pause, 25, Some(-35), "", None),
            span(SpanKind::Notice, 20, Some(15), "rebalance", None),
            span(SpanKind::Notice, 15, Some(5), "spot_interruption", None),
            span(SpanKind::Update, 4, None, "", None)
        ]
    );
    history.action(NOW, "updated", "update", None);
    assert_eq!(spans(&history)[5].succeeded, Some(true));
}

#[test]
fn a_span_that_an_earlier_life_began_goes_on_or_ends_in_this_one() {
    let mut earlier = History::default();
    earlier.event(NOW - 30 * MINUTE, &notice(NoticeKind::Rebalance));
    let mut same = History::default();
    same.event(NOW - 10 * MINUTE, &notice(NoticeKind::Rebalance));
    same.absorb(&earlier);
    let rebalance = |to| span(SpanKind::Notice, 30, to, "rebalance", None);
    assert_eq!(spans(&same), [rebalance(None)]);

    let mut over = History::default();
    over.event(NOW - 9 * MINUTE, &Event::Ec2(None));
    over.event(NOW - 8 * MINUTE, &Event::Ec2(None));
    over.absorb(&earlier);
    assert_eq!(spans(&over), [rebalance(Some(9))]);

    let mut unknown = History::default();
    unknown.absorb(&earlier);
    assert_eq!(spans(&unknown), [rebalance(None)]);
    unknown.event(NOW - MINUTE, &Event::Ec2(None));
    assert_eq!(spans(&unknown), [rebalance(Some(1))]);
}
