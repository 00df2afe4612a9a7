//! Events of a polled metadata service.

use std::time::Duration;

use tokio::sync::mpsc;

use super::fake::{Answer, Fake};
use crate::dmi::tests::machine;
use crate::imds::Imds;
use crate::notices::NoticeSource;
use crate::watch::{MetadataEvent, NoticePoller, watch, watch_on};
use agent_config::Ec2Config;
use agent_core::event::NoticeKind;
use agent_runtime::simulation::World;
use agent_runtime::wall;

fn spot(action: &str) -> String {
    let time = wall::now().checked_add(Duration::from_mins(2)).unwrap();
    format!(r#"{{"action": "{action}", "time": "{time:.0}"}}"#)
}

fn poller(fake: &Fake) -> (NoticePoller, mpsc::Receiver<MetadataEvent>) {
    let (sender, events) = mpsc::channel(8);
    let imds = Imds::new(&fake.base).with_timeout(Duration::from_secs(20));
    (NoticePoller::new(imds, sender), events)
}

/// The kinds sent since the last call, oldest first.
fn received(events: &mut mpsc::Receiver<MetadataEvent>) -> Vec<Option<NoticeKind>> {
    let mut kinds = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let MetadataEvent::Notice(notice) = event {
            kinds.push(notice.map(|notice| notice.kind));
        }
    }
    kinds
}

#[tokio::test]
async fn notice_is_sent_once_when_it_begins_and_once_when_it_ends() {
    let fake = Fake::instance().await;
    let (mut poller, mut events) = poller(&fake);
    poller.poll().await.unwrap();
    assert_eq!(received(&mut events), [None], "also its absence");
    fake.set(NoticeSource::Spot.path(), &spot("terminate"));
    for expected in [vec![Some(NoticeKind::SpotInterruption)], vec![], vec![]] {
        poller.poll().await.unwrap();
        assert_eq!(received(&mut events), expected);
    }
    fake.set(NoticeSource::Lifecycle.path(), "Terminated");
    poller.poll().await.unwrap();
    assert_eq!(received(&mut events), [Some(NoticeKind::Termination)]);
    fake.set(NoticeSource::Lifecycle.path(), "InService");
    fake.remove(NoticeSource::Spot.path());
    for expected in [vec![], vec![None], vec![]] {
        poller.poll().await.unwrap();
        assert_eq!(received(&mut events), expected);
    }
}

#[tokio::test]
async fn failed_poll_keeps_the_notice() {
    let fake = Fake::instance().await;
    fake.set(NoticeSource::Spot.path(), &spot("stop"));
    let (mut poller, mut events) = poller(&fake);
    poller.poll().await.unwrap();
    assert_eq!(received(&mut events), [Some(NoticeKind::SpotInterruption)]);
    for (trouble, in_vain) in [
        (Answer::Status(503), true),
        (Answer::Status(429), true),
        (Answer::Text("garbage".to_owned()), false),
        (Answer::Text("x".repeat(1 << 20)), true),
    ] {
        fake.answer(NoticeSource::Spot.path(), trouble);
        for _ in 0..3 {
            assert_eq!(poller.poll().await.is_err(), in_vain);
            assert_eq!(received(&mut events), []);
        }
    }
}

#[tokio::test]
async fn service_without_instance_id_cancels_no_notice() {
    let fake = Fake::instance().await;
    fake.set(NoticeSource::Spot.path(), &spot("stop"));
    let (mut poller, mut events) = poller(&fake);
    poller.poll().await.unwrap();
    assert_eq!(received(&mut events), [Some(NoticeKind::SpotInterruption)]);
    fake.remove(NoticeSource::Spot.path());
    fake.remove("meta-data/instance-id");
    for _ in 0..3 {
        poller.poll().await.unwrap_err();
        assert_eq!(received(&mut events), []);
    }
    fake.set("meta-data/instance-id", "i-0123456789abcdef0");
    for expected in [vec![], vec![None]] {
        poller.poll().await.unwrap();
        assert_eq!(received(&mut events), expected);
    }
}

#[tokio::test]
async fn unreadable_notices_are_sent_once_and_so_is_their_return() {
    let fake = Fake::instance().await;
    let (mut poller, mut events) = poller(&fake);
    let mut unseen = || {
        let received = std::iter::from_fn(|| events.try_recv().ok());
        let unseen = received.filter_map(|event| match event {
            MetadataEvent::Unseen(why) => Some(why),
            _ => None,
        });
        unseen.collect::<Vec<_>>()
    };
    poller.poll().await.unwrap();
    assert_eq!(unseen(), []);
    fake.answer(NoticeSource::Spot.path(), Answer::Status(429));
    poller.poll().await.unwrap_err();
    poller.poll().await.unwrap_err();
    let why = unseen();
    assert!(matches!(&why[..], [Some(why)] if why.contains("429")), "{why:?}");
    fake.remove(NoticeSource::Spot.path());
    poller.poll().await.unwrap();
    assert_eq!(unseen(), [None]);
}

#[tokio::test]
async fn failed_document_does_not_hide_another() {
    let fake = Fake::instance().await;
    fake.answer(NoticeSource::Spot.path(), Answer::Status(500));
    fake.set(NoticeSource::Lifecycle.path(), "Terminated");
    let (mut poller, mut events) = poller(&fake);
    assert!(poller.poll().await.is_err());
    assert_eq!(received(&mut events), [Some(NoticeKind::Termination)]);
}

#[tokio::test]
async fn malformed_document_neither_slows_others_nor_keeps_a_notice() {
    let fake = Fake::instance().await;
    fake.answer(NoticeSource::Scheduled.path(), Answer::Text("garbage".to_owned()));
    let (mut poller, mut events) = poller(&fake);
    poller.poll().await.unwrap();
    assert_eq!(received(&mut events), [], "its absence is unknown");
    fake.set(NoticeSource::Spot.path(), &spot("terminate"));
    poller.poll().await.unwrap();
    assert_eq!(received(&mut events), [Some(NoticeKind::SpotInterruption)]);
    fake.remove(NoticeSource::Spot.path());
    for expected in [vec![], vec![None]] {
        poller.poll().await.unwrap();
        assert_eq!(received(&mut events), expected);
    }
}

#[tokio::test]
async fn no_notice_is_cancelled_before_every_document_was_read() {
    let fake = Fake::instance().await;
    fake.answer(NoticeSource::Scheduled.path(), Answer::Status(500));
    let (mut poller, mut events) = poller(&fake);
    assert!(poller.poll().await.is_err());
    assert_eq!(received(&mut events), []);
    fake.set(NoticeSource::Scheduled.path(), "[]");
    poller.poll().await.unwrap();
    assert_eq!(received(&mut events), [None]);
}

#[tokio::test]
async fn impossible_notices_are_not_polled_every_second() {
    for (life, grouped, expected) in [
        ("on-demand", true, 1),
        ("spot", true, 2),
        ("spot", false, 1),
        ("on-demand", false, 0),
    ] {
        let fake = Fake::instance().await;
        fake.set("meta-data/instance-life-cycle", life);
        if !grouped {
            fake.remove(NoticeSource::Lifecycle.path());
        }
        let (mut poller, _events) = poller(&fake);
        poller.poll().await.unwrap();
        let before = fake.script(|s| s.asked.len());
        poller.poll().await.unwrap();
        assert_eq!(fake.script(|s| s.asked.len()) - before, expected, "{life}, {grouped}");
    }
}

#[tokio::test(start_paused = true)]
async fn reboot_that_took_place_is_over_while_its_event_is_still_active() {
    // Booted an hour before.
    let world = World::begin("2026-01-21T10:00:00Z".parse().unwrap());
    let fake = Fake::in_memory();
    let event = |time: &str| {
        format!(
            r#"[{{"NotBefore": "{time}", "NotAfter": "21 Jan 2026 12:00:00 GMT", "Code": "system-reboot", "State": "active"}}]"#
        )
    };
    for (time, expected) in [
        ("21 Jan 2026 08:59:00 GMT", None),
        ("21 Jan 2026 09:01:00 GMT", Some(NoticeKind::ScheduledStop)),
        ("21 Jan 2026 11:00:00 GMT", Some(NoticeKind::ScheduledStop)),
    ] {
        fake.set(NoticeSource::Scheduled.path(), &event(time));
        let (mut poller, mut events) = poller(&fake);
        poller.poll().await.unwrap();
        assert_eq!(received(&mut events), [expected], "{time}");
    }
    drop(world);
}

fn config(base: &str, enabled: Option<bool>) -> Ec2Config {
    Ec2Config {
        enabled,
        imds: base.to_owned(),
        lifecycle_hook: None,
    }
}

#[tokio::test]
async fn instance_is_found_and_polled() {
    let fake = Fake::instance().await;
    let (sender, mut events) = mpsc::channel(8);
    let task = tokio::spawn(watch(config(&fake.base, None), sender));
    let id = "i-0123456789abcdef0".to_owned();
    assert_eq!(events.recv().await, Some(MetadataEvent::Instance { id }));
    assert_eq!(events.recv().await, Some(MetadataEvent::Notice(None)));
    fake.set(NoticeSource::Spot.path(), &spot("terminate"));
    let received = events.recv().await;
    assert!(
        matches!(received, Some(MetadataEvent::Notice(Some(n))) if n.seconds.is_some_and(|s| s <= 120)),
        "{received:?}"
    );
    drop(events);
    task.await.unwrap();
}

#[tokio::test]
async fn disabled_sends_no_request_and_clears_the_notice() {
    let fake = Fake::instance().await;
    let (sender, mut events) = mpsc::channel(8);
    watch(config(&fake.base, Some(false)), sender).await;
    assert_eq!(events.recv().await, Some(MetadataEvent::Notice(None)));
    assert_eq!(events.recv().await, None);
    assert_eq!(fake.tokens(), 0);
}

#[tokio::test]
async fn service_is_believed_only_where_the_hardware_says_the_same() {
    let (mine, other) = ("i-0123456789abcdef0", "i-0fedcba9876543210");
    for (vendor, tag, asked, found) in [
        ("Amazon EC2", mine, true, true),
        ("Amazon EC2", other, true, false),
        ("QEMU", mine, false, false),
    ] {
        let (fake, dir) = (Fake::instance().await, tempfile::tempdir().unwrap());
        let dmi = machine(dir.path(), &[("dmi/sys_vendor", vendor), ("dmi/board_asset_tag", tag)]);
        let (sender, mut events) = mpsc::channel(8);
        let watched = tokio::spawn(watch_on(Some(dmi), config(&fake.base, None), sender));
        let first = tokio::time::timeout(Duration::from_millis(500), events.recv()).await;
        let id = mine.to_owned();
        assert_eq!(
            first == Ok(Some(MetadataEvent::Instance { id })),
            found,
            "{vendor} {tag}"
        );
        assert_eq!(fake.tokens() > 0, asked, "{vendor} {tag}");
        watched.abort();
    }
}
