//! Parsing of the metadata service's documents.

use jiff::Timestamp;

use crate::notices::{Announcement, NoticeSource, PendingNotices, notice};
use agent_core::event::NoticeKind;

const SPOT: &str = r#"{"action": "terminate", "time": "2026-09-18T08:22:00Z"}"#;
const REBALANCE: &str = r#"{"noticeTime": "2026-09-18T08:00:00Z"}"#;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn kinds(source: NoticeSource, text: &str) -> Option<Vec<NoticeKind>> {
    Some(source.parse(text)?.iter().map(|f| f.kind).collect())
}

fn scheduled(code: &str, state: &str) -> String {
    format!(
        r#"[{{"NotBefore": "21 Jan 2026 09:00:43 GMT", "Code": "{code}", "Description": "x", "EventId": "instance-event-0",
        "NotAfter": "21 Jan 2026 09:17:23 GMT", "State": "{state}"}}]"#
    )
}

#[test]
fn every_document_yields_its_announcements() {
    use NoticeKind::{Maintenance, Rebalance, ScheduledStop, SpotInterruption, Termination};
    for (source, text, expected) in [
        (NoticeSource::Spot, SPOT, vec![SpotInterruption]),
        (
            NoticeSource::Spot,
            r#"{"action":"stop","time":"2026-09-18T08:22:00Z"}"#,
            vec![SpotInterruption],
        ),
        (
            NoticeSource::Spot,
            r#"{"action":"hibernate","time":"2026-09-18T08:22:00Z"}"#,
            vec![SpotInterruption],
        ),
        (NoticeSource::Lifecycle, "InService", vec![]),
        (NoticeSource::Lifecycle, "Terminated\n", vec![Termination]),
        (NoticeSource::Lifecycle, "Warmed:Stopped", vec![Termination]),
        (NoticeSource::Lifecycle, "Standby", vec![]),
        (NoticeSource::Lifecycle, "SomethingNew", vec![]),
        (NoticeSource::Rebalance, REBALANCE, vec![Rebalance]),
        (NoticeSource::Scheduled, "[]", vec![]),
        (
            NoticeSource::Scheduled,
            &scheduled("instance-retirement", "active"),
            vec![ScheduledStop],
        ),
        (
            NoticeSource::Scheduled,
            &scheduled("system-reboot", "active"),
            vec![ScheduledStop],
        ),
        (
            NoticeSource::Scheduled,
            &scheduled("system-maintenance", "active"),
            vec![Maintenance],
        ),
        (NoticeSource::Scheduled, &scheduled("system-reboot", "canceled"), vec![]),
        (
            NoticeSource::Scheduled,
            &scheduled("system-reboot", "completed"),
            vec![],
        ),
    ] {
        assert_eq!(kinds(source, text), Some(expected), "{text}");
    }
    let read = NoticeSource::Scheduled
        .parse(&scheduled("system-reboot", "active"))
        .unwrap();
    assert_eq!(read[0].at, Some(at("2026-01-21T09:00:43Z")));
    assert_eq!(read[0].until, Some(at("2026-01-21T09:17:23Z")));
}

#[test]
fn malformed_document_yields_nothing() {
    for source in NoticeSource::ALL {
        for text in [
            "",
            "<html>login</html>",
            "{",
            "null",
            "\"x\"",
            r#"{"action":"dance","time":"soon"}"#,
        ] {
            assert_eq!(source.parse(text), None, "{source:?}: {text}");
        }
    }
}

#[test]
fn most_severe_notice_wins_in_any_order() {
    let now = at("2026-09-18T08:20:00Z");
    let all = [
        (NoticeSource::Rebalance, REBALANCE, NoticeKind::Rebalance, None),
        (NoticeSource::Spot, SPOT, NoticeKind::SpotInterruption, Some(120)),
        (
            NoticeSource::Lifecycle,
            "Terminated",
            NoticeKind::Termination,
            Some(120),
        ),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut pending = PendingNotices::default();
        for (n, index) in order.into_iter().enumerate() {
            let (source, text, ..) = all[index];
            pending.record(source, source.parse(text).unwrap());
            let seen = &order[..=n];
            let most_severe = notice(pending.most_severe(now).unwrap(), now);
            let expected = all[*seen.iter().max().unwrap()];
            assert_eq!(most_severe.kind, expected.2);
            // The group gives no time: the interruption's applies once it is known.
            assert_eq!(
                most_severe.seconds,
                expected.3.filter(|_| seen.contains(&1)),
                "{order:?} {n}"
            );
        }
    }
}

#[test]
fn announcement_is_dropped_only_after_two_polls_without_it() {
    let now = at("2026-09-18T08:20:00Z");
    let mut pending = PendingNotices::default();
    pending.record(NoticeSource::Spot, NoticeSource::Spot.parse(SPOT).unwrap());
    pending.record(NoticeSource::Spot, Vec::new());
    assert!(pending.most_severe(now).is_some());
    pending.record(NoticeSource::Spot, NoticeSource::Spot.parse(SPOT).unwrap());
    pending.record(NoticeSource::Spot, Vec::new());
    assert!(pending.most_severe(now).is_some(), "not in a row");
    pending.record(NoticeSource::Spot, Vec::new());
    assert_eq!(pending.most_severe(now), None);
}

#[test]
fn past_time_is_due_or_none_and_event_ends_with_its_window() {
    let mut pending = PendingNotices::default();
    let announcement = Announcement {
        kind: NoticeKind::ScheduledStop,
        at: Some(at("2026-01-21T09:00:43Z")),
        until: Some(at("2026-01-21T09:17:23Z")),
    };
    pending.record(NoticeSource::Scheduled, vec![announcement]);
    let late = at("2026-01-21T09:10:00Z");
    let (kind, time) = pending.most_severe(late).unwrap();
    assert_eq!(notice((kind, time), late).seconds, Some(0));
    let spot = NoticeKind::SpotInterruption;
    assert_eq!(notice((spot, time), late).seconds, None, "it would be killed at once");
    assert_eq!(notice((spot, time), time.unwrap()).seconds, Some(0));
    assert_eq!(pending.most_severe(at("2026-01-21T09:18:00Z")), None);
}
