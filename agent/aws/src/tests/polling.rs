//! What is told of a metadata service that is watched.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::fake::{Answer, Fake};
use crate::imds::Imds;
use crate::notices::Source;
use crate::watch::{News, Rounds, watch};
use agent_config::Ec2;
use agent_core::event::NoticeKind;

fn spot(action: &str) -> String {
    let time = Timestamp::now().checked_add(Duration::from_mins(2)).unwrap();
    format!(r#"{{"action": "{action}", "time": "{time:.0}"}}"#)
}

fn rounds(fake: &Fake) -> (Rounds, mpsc::Receiver<News>) {
    let (sender, news) = mpsc::channel(8);
    let imds = Imds::new(&fake.base).patient(Duration::from_secs(20));
    (Rounds::new(imds, sender), news)
}

/// The kinds that were told since the last look, oldest first.
fn told(news: &mut mpsc::Receiver<News>) -> Vec<Option<NoticeKind>> {
    let mut kinds = Vec::new();
    while let Ok(news) = news.try_recv() {
        if let News::Notice(notice) = news {
            kinds.push(notice.map(|notice| notice.kind));
        }
    }
    kinds
}

#[tokio::test]
async fn a_notice_is_told_once_when_it_comes_and_once_when_it_is_gone() {
    let fake = Fake::instance().await;
    let (mut rounds, mut news) = rounds(&fake);
    rounds.look().await.unwrap();
    assert_eq!(told(&mut news), [None], "also that there is none");
    fake.set(Source::Spot.path(), &spot("terminate"));
    for expected in [vec![Some(NoticeKind::SpotInterruption)], vec![], vec![]] {
        rounds.look().await.unwrap();
        assert_eq!(told(&mut news), expected);
    }
    fake.set(Source::Lifecycle.path(), "Terminated");
    rounds.look().await.unwrap();
    assert_eq!(told(&mut news), [Some(NoticeKind::Termination)]);
    fake.set(Source::Lifecycle.path(), "InService");
    fake.remove(Source::Spot.path());
    for expected in [vec![], vec![None], vec![]] {
        rounds.look().await.unwrap();
        assert_eq!(told(&mut news), expected);
    }
}

#[tokio::test]
async fn trouble_hides_a_notice_from_nobody() {
    let fake = Fake::instance().await;
    fake.set(Source::Spot.path(), &spot("stop"));
    let (mut rounds, mut news) = rounds(&fake);
    rounds.look().await.unwrap();
    assert_eq!(told(&mut news), [Some(NoticeKind::SpotInterruption)]);
    for (trouble, in_vain) in [
        (Answer::Status(503), true),
        (Answer::Status(429), true),
        (Answer::Text("garbage".to_owned()), false),
        (Answer::Text("x".repeat(1 << 20)), true),
    ] {
        fake.answer(Source::Spot.path(), trouble);
        for _ in 0..3 {
            assert_eq!(rounds.look().await.is_err(), in_vain);
            assert_eq!(told(&mut news), []);
        }
    }
}

#[tokio::test]
async fn a_service_that_does_not_even_know_the_instance_calls_nothing_off() {
    let fake = Fake::instance().await;
    fake.set(Source::Spot.path(), &spot("stop"));
    let (mut rounds, mut news) = rounds(&fake);
    rounds.look().await.unwrap();
    assert_eq!(told(&mut news), [Some(NoticeKind::SpotInterruption)]);
    fake.remove(Source::Spot.path());
    fake.remove("meta-data/instance-id");
    for _ in 0..3 {
        rounds.look().await.unwrap_err();
        assert_eq!(told(&mut news), []);
    }
    fake.set("meta-data/instance-id", "i-0123456789abcdef0");
    for expected in [vec![], vec![None]] {
        rounds.look().await.unwrap();
        assert_eq!(told(&mut news), expected);
    }
}

#[tokio::test]
async fn that_nothing_can_be_seen_is_told_and_that_it_can_again() {
    let fake = Fake::instance().await;
    let (mut rounds, mut news) = rounds(&fake);
    let mut unseen = || {
        let told = std::iter::from_fn(|| news.try_recv().ok());
        let unseen = told.filter_map(|news| match news {
            News::Unseen(why) => Some(why),
            _ => None,
        });
        unseen.collect::<Vec<_>>()
    };
    rounds.look().await.unwrap();
    assert_eq!(unseen(), []);
    fake.answer(Source::Spot.path(), Answer::Status(429));
    rounds.look().await.unwrap_err();
    rounds.look().await.unwrap_err();
    let why = unseen();
    assert!(matches!(&why[..], [Some(why)] if why.contains("429")), "{why:?}");
    fake.remove(Source::Spot.path());
    rounds.look().await.unwrap();
    assert_eq!(unseen(), [None]);
}

#[tokio::test]
async fn one_document_in_trouble_does_not_hide_another() {
    let fake = Fake::instance().await;
    fake.answer(Source::Spot.path(), Answer::Status(500));
    fake.set(Source::Lifecycle.path(), "Terminated");
    let (mut rounds, mut news) = rounds(&fake);
    assert!(rounds.look().await.is_err());
    assert_eq!(told(&mut news), [Some(NoticeKind::Termination)]);
}

#[tokio::test]
async fn a_document_that_nobody_understands_neither_slows_the_others_nor_keeps_a_notice_from_being_called_off() {
    let fake = Fake::instance().await;
    fake.answer(Source::Scheduled.path(), Answer::Text("garbage".to_owned()));
    let (mut rounds, mut news) = rounds(&fake);
    rounds.look().await.unwrap();
    assert_eq!(told(&mut news), [], "nobody knows that there is none");
    fake.set(Source::Spot.path(), &spot("terminate"));
    rounds.look().await.unwrap();
    assert_eq!(told(&mut news), [Some(NoticeKind::SpotInterruption)]);
    fake.remove(Source::Spot.path());
    for expected in [vec![], vec![None]] {
        rounds.look().await.unwrap();
        assert_eq!(told(&mut news), expected);
    }
}

#[tokio::test]
async fn nothing_is_called_off_before_every_document_was_seen() {
    let fake = Fake::instance().await;
    fake.answer(Source::Scheduled.path(), Answer::Status(500));
    let (mut rounds, mut news) = rounds(&fake);
    assert!(rounds.look().await.is_err());
    assert_eq!(told(&mut news), []);
    fake.set(Source::Scheduled.path(), "[]");
    rounds.look().await.unwrap();
    assert_eq!(told(&mut news), [None]);
}

#[tokio::test]
async fn what_cannot_come_is_not_asked_for_every_second() {
    for (life, grouped, expected) in [
        ("on-demand", true, 1),
        ("spot", true, 2),
        ("spot", false, 1),
        ("on-demand", false, 0),
    ] {
        let fake = Fake::instance().await;
        fake.set("meta-data/instance-life-cycle", life);
        if !grouped {
            fake.remove(Source::Lifecycle.path());
        }
        let (mut rounds, _news) = rounds(&fake);
        rounds.look().await.unwrap();
        let before = fake.script(|s| s.asked.len());
        rounds.look().await.unwrap();
        assert_eq!(fake.script(|s| s.asked.len()) - before, expected, "{life}, {grouped}");
    }
}

fn config(base: &str, enabled: Option<bool>) -> Ec2 {
    Ec2 {
        enabled,
        imds: base.to_owned(),
        lifecycle_hook: None,
    }
}

#[tokio::test]
async fn an_instance_is_found_and_watched() {
    let fake = Fake::instance().await;
    let (sender, mut news) = mpsc::channel(8);
    let task = tokio::spawn(watch(config(&fake.base, None), sender));
    let id = "i-0123456789abcdef0".to_owned();
    assert_eq!(news.recv().await, Some(News::Instance { id }));
    assert_eq!(news.recv().await, Some(News::Notice(None)));
    fake.set(Source::Spot.path(), &spot("terminate"));
    let told = news.recv().await;
    assert!(
        matches!(told, Some(News::Notice(Some(n))) if n.seconds.is_some_and(|s| s <= 120)),
        "{told:?}"
    );
    drop(news);
    task.await.unwrap();
}

#[tokio::test]
async fn switched_off_nothing_is_asked_and_nothing_holds() {
    let fake = Fake::instance().await;
    let (sender, mut news) = mpsc::channel(8);
    watch(config(&fake.base, Some(false)), sender).await;
    assert_eq!(news.recv().await, Some(News::Notice(None)));
    assert_eq!(news.recv().await, None);
    assert_eq!(fake.tokens(), 0);
}
