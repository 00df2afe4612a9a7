//! Parsing of the metadata service's documents.

use jiff::Timestamp;

use crate::notices::{Announcement, NoticeSource, PendingNotices, notice};
use agent_core::event::NoticeKind;

const SPOT: &str = r#"{"action": "terminate", "time": "2026-09-18T08:22:00Z"}"#;
const REBALANCE: &str = r#"{"noticeTime": "2026-09-18T08:00:00Z"}"#;

const BOOTED: Timestamp = Timestamp::UNIX_EPOCH;

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
            pending.record(source, source.parse(text).unwrap(), BOOTED);
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
    pending.record(NoticeSource::Spot, NoticeSource::Spot.parse(SPOT).unwrap(), BOOTED);
    pending.record(NoticeSource::Spot, Vec::new(), BOOTED);
    assert!(pending.most_severe(now).is_some());
    pending.record(NoticeSource::Spot, NoticeSource::Spot.parse(SPOT).unwrap(), BOOTED);
    pending.record(NoticeSource::Spot, Vec::new(), BOOTED);
    assert!(pending.most_severe(now).is_some(), "not in a row");
    pending.record(NoticeSource::Spot, Vec::new(), BOOTED);
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
    pending.record(NoticeSource::Scheduled, vec![announcement], BOOTED);
    let late = at("2026-01-21T09:10:00Z");
    let (kind, time) = pending.most_severe(late).unwrap();
    assert_eq!(notice((kind, time), late).seconds, Some(0));
    let spot = NoticeKind::SpotInterruption;
    assert_eq!(notice((spot, time), late).seconds, None, "it would be killed at once");
    assert_eq!(notice((spot, time), time.unwrap()).seconds, Some(0));
    assert_eq!(pending.most_severe(at("2026-01-21T09:18:00Z")), None);
}

#[test]
fn announcement_of_a_boots_end_is_over_for_the_boot_after_it() {
    use NoticeKind::{Maintenance, Rebalance, ScheduledStop, SpotInterruption, Termination};
    let (now, before, after) = (
        at("2026-01-21T09:10:00Z"),
        at("2026-01-21T08:00:00Z"),
        at("2026-01-21T09:01:30Z"),
    );
    let spot = r#"{"action": "stop", "time": "2026-01-21T09:00:43Z"}"#;
    let rebalance = r#"{"noticeTime": "2026-01-21T09:00:43Z"}"#;
    let event = |code: &str| scheduled(code, "active");
    for (source, text, kind, is_over) in [
        (NoticeSource::Scheduled, event("instance-reboot"), ScheduledStop, true),
        (NoticeSource::Scheduled, event("system-reboot"), ScheduledStop, true),
        (NoticeSource::Scheduled, event("instance-stop"), ScheduledStop, true),
        (
            NoticeSource::Scheduled,
            event("instance-retirement"),
            ScheduledStop,
            true,
        ),
        (NoticeSource::Scheduled, event("system-maintenance"), Maintenance, false),
        (NoticeSource::Spot, spot.to_owned(), SpotInterruption, true),
        (NoticeSource::Rebalance, rebalance.to_owned(), Rebalance, false),
        (NoticeSource::Lifecycle, "Terminated".to_owned(), Termination, false),
    ] {
        let mut pending = PendingNotices::default();
        let mut found = |booted| {
            pending.record(source, source.parse(&text).unwrap(), booted);
            pending.most_severe(now).map(|(kind, _)| kind)
        };
        assert_eq!(found(after).is_none(), is_over, "{text}");
        assert_eq!(found(before), Some(kind), "{text}");
        // The wall clock was set forward, and the boot's time with it.
        assert_eq!(found(after), Some(kind), "{text}");
    }
    // One that is still to come is none of those that have happened.
    let both = format!(
        "[{},{}]",
        inner(&event("system-reboot")),
        inner(&later(&event("instance-stop")))
    );
    let mut pending = PendingNotices::default();
    pending.record(
        NoticeSource::Scheduled,
        NoticeSource::Scheduled.parse(&both).unwrap(),
        after,
    );
    let next = Some(at("2026-01-24T09:00:43Z"));
    assert_eq!(pending.most_severe(now), Some((ScheduledStop, next)));
}

/// The event of a document with one.
fn inner(document: &str) -> &str {
    document.trim_start_matches('[').trim_end_matches(']')
}

/// The same three days later.
fn later(document: &str) -> String {
    document.replace("21 Jan", "24 Jan")
}

#[test]
fn event_whose_description_says_that_it_is_over_is_none() {
    for (word, expected) in [
        ("[Completed] x", vec![]),
        ("[Canceled] x", vec![]),
        ("x", vec![NoticeKind::ScheduledStop]),
    ] {
        let text = scheduled("system-reboot", "active").replace("\"x\"", &format!("\"{word}\""));
        assert_eq!(kinds(NoticeSource::Scheduled, &text), Some(expected), "{word}");
    }
}
