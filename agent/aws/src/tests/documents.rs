//! What the documents of the metadata service announce.

use jiff::Timestamp;

use crate::notices::{Board, Foreseen, Source, notice};
use agent_core::event::NoticeKind;

const SPOT: &str = r#"{"action": "terminate", "time": "2026-09-18T08:22:00Z"}"#;
const REBALANCE: &str = r#"{"noticeTime": "2026-09-18T08:00:00Z"}"#;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn kinds(source: Source, text: &str) -> Option<Vec<NoticeKind>> {
    Some(source.read(text)?.iter().map(|f| f.kind).collect())
}

fn scheduled(code: &str, state: &str) -> String {
    format!(
        r#"[{{"NotBefore": "21 Jan 2026 09:00:43 GMT", "Code": "{code}", "Description": "x", "EventId": "instance-event-0",
        "NotAfter": "21 Jan 2026 09:17:23 GMT", "State": "{state}"}}]"#
    )
}

#[test]
fn every_document_is_read_for_what_it_announces() {
    use NoticeKind::{Maintenance, Rebalance, ScheduledStop, SpotInterruption, Termination};
    for (source, text, expected) in [
        (Source::Spot, SPOT, vec![SpotInterruption]),
        (
            Source::Spot,
            r#"{"action":"stop","time":"2026-09-18T08:22:00Z"}"#,
            vec![SpotInterruption],
        ),
        (
            Source::Spot,
            r#"{"action":"hibernate","time":"2026-09-18T08:22:00Z"}"#,
            vec![SpotInterruption],
        ),
        (Source::Lifecycle, "InService", vec![]),
        (Source::Lifecycle, "Terminated\n", vec![Termination]),
        (Source::Lifecycle, "Warmed:Stopped", vec![Termination]),
        (Source::Lifecycle, "Standby", vec![]),
        (Source::Lifecycle, "SomethingNew", vec![]),
        (Source::Rebalance, REBALANCE, vec![Rebalance]),
        (Source::Scheduled, "[]", vec![]),
        (
            Source::Scheduled,
            &scheduled("instance-retirement", "active"),
            vec![ScheduledStop],
        ),
        (
            Source::Scheduled,
            &scheduled("system-reboot", "active"),
            vec![ScheduledStop],
        ),
        (
            Source::Scheduled,
            &scheduled("system-maintenance", "active"),
            vec![Maintenance],
        ),
        (Source::Scheduled, &scheduled("system-reboot", "canceled"), vec![]),
        (Source::Scheduled, &scheduled("system-reboot", "completed"), vec![]),
    ] {
        assert_eq!(kinds(source, text), Some(expected), "{text}");
    }
    let read = Source::Scheduled.read(&scheduled("system-reboot", "active")).unwrap();
    assert_eq!(read[0].at, Some(at("2026-01-21T09:00:43Z")));
    assert_eq!(read[0].until, Some(at("2026-01-21T09:17:23Z")));
}

#[test]
fn garbage_announces_nothing_and_calls_nothing_off() {
    for source in Source::ALL {
        for text in [
            "",
            "<html>login</html>",
            "{",
            "null",
            "\"x\"",
            r#"{"action":"dance","time":"soon"}"#,
        ] {
            assert_eq!(source.read(text), None, "{source:?}: {text}");
        }
    }
}

#[test]
fn the_gravest_counts_in_whatever_order_they_come() {
    let now = at("2026-09-18T08:20:00Z");
    let all = [
        (Source::Rebalance, REBALANCE, NoticeKind::Rebalance, None),
        (Source::Spot, SPOT, NoticeKind::SpotInterruption, Some(120)),
        (Source::Lifecycle, "Terminated", NoticeKind::Termination, Some(120)),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut board = Board::default();
        for (n, index) in order.into_iter().enumerate() {
            let (source, text, ..) = all[index];
            board.note(source, source.read(text).unwrap());
            let seen = &order[..=n];
            let gravest = notice(board.gravest(now).unwrap(), now);
            let expected = all[*seen.iter().max().unwrap()];
            assert_eq!(gravest.kind, expected.2);
            // The group says no time: the interruption's counts, once it is known.
            assert_eq!(
                gravest.seconds,
                expected.3.filter(|_| seen.contains(&1)),
                "{order:?} {n}"
            );
        }
    }
}

#[test]
fn something_is_gone_only_when_two_looks_agree() {
    let now = at("2026-09-18T08:20:00Z");
    let mut board = Board::default();
    board.note(Source::Spot, Source::Spot.read(SPOT).unwrap());
    board.note(Source::Spot, Vec::new());
    assert!(board.gravest(now).is_some());
    board.note(Source::Spot, Source::Spot.read(SPOT).unwrap());
    board.note(Source::Spot, Vec::new());
    assert!(board.gravest(now).is_some(), "not in a row");
    board.note(Source::Spot, Vec::new());
    assert_eq!(board.gravest(now), None);
}

#[test]
fn a_time_that_has_passed_leaves_no_second_and_an_event_ends_with_its_window() {
    let mut board = Board::default();
    let foreseen = Foreseen {
        kind: NoticeKind::ScheduledStop,
        at: Some(at("2026-01-21T09:00:43Z")),
        until: Some(at("2026-01-21T09:17:23Z")),
    };
    board.note(Source::Scheduled, vec![foreseen]);
    let late = at("2026-01-21T09:10:00Z");
    assert_eq!(notice(board.gravest(late).unwrap(), late).seconds, Some(0));
    assert_eq!(board.gravest(at("2026-01-21T09:18:00Z")), None);
}
