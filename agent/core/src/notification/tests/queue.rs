//! A storm of news becomes a few messages, and the newest is never lost.

#![expect(clippy::disallowed_methods, reason = "any instant will do as the first")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use strum::VariantArray as _;

use super::*;
use crate::notification::queue::{QueuedMessage, RateLimitedQueue};

const MINUTE: Duration = Duration::from_mins(1);

/// Everything that may go out at `now`: what it is about, and how many more it stands for.
fn sent(outbox: &mut RateLimitedQueue, now: Instant) -> Vec<QueuedMessage> {
    std::iter::from_fn(|| outbox.next(now)).collect()
}

fn about(letters: &[QueuedMessage]) -> Vec<(Option<Cause>, u64)> {
    letters.iter().map(|l| (l.message.cause, l.more)).collect()
}

#[test]
fn news_go_out_at_once_and_in_order() {
    let now = Instant::now();
    let mut outbox = RateLimitedQueue::new(now);
    for cause in [Cause::Exited, Cause::Stalled, Cause::Exited] {
        outbox.push(problem(cause, ""));
    }
    let expected = [Cause::Exited, Cause::Stalled, Cause::Exited].map(|c| (Some(c), 0));
    assert_eq!(about(&sent(&mut outbox, now)), expected);
    assert_eq!(outbox.deadline(), None);
}

#[test]
fn crash_loop_sends_four_messages_then_one_per_five_minutes() {
    let begin = Instant::now();
    let mut outbox = RateLimitedQueue::new(begin);
    let mut letters = Vec::new();
    // A crash and its end every ten seconds, for an hour.
    for n in 0..360 {
        let now = begin + n * Duration::from_secs(10);
        outbox.push(problem(Cause::Exited, ""));
        outbox.push(over(Cause::Exited));
        letters.extend(sent(&mut outbox, now));
    }
    assert!((14..=16).contains(&letters.len()), "{}", letters.len());
    assert_eq!(about(&letters[..4]), [(Some(Cause::Exited), 0); 4]);
    letters.extend(sent(&mut outbox, begin + 90 * MINUTE));
    let told: u64 = letters.iter().map(|l| 1 + l.more).sum();
    assert_eq!(told, 720, "every one is told, or counted");
    assert_eq!(
        letters.last().unwrap().message.kind,
        NotificationKind::Over,
        "the last word is how things stand"
    );
}

#[test]
fn one_storm_does_not_hold_up_other_news() {
    let now = Instant::now();
    let mut outbox = RateLimitedQueue::new(now);
    for _ in 0..50 {
        outbox.push(problem(Cause::Exited, ""));
        sent(&mut outbox, now);
    }
    outbox.push(problem(Cause::CrashLoop, ""));
    assert_eq!(about(&sent(&mut outbox, now)), [(Some(Cause::CrashLoop), 0)]);
    assert_eq!(outbox.deadline(), Some(now + 5 * MINUTE));
}

#[test]
fn all_news_together_go_out_no_faster_than_the_services_take_them() {
    let begin = Instant::now();
    let mut outbox = RateLimitedQueue::new(begin);
    for cause in &Cause::VARIANTS[..12] {
        outbox.push(problem(*cause, ""));
    }
    assert_eq!(sent(&mut outbox, begin).len(), 5);
    assert_eq!(outbox.deadline(), Some(begin + Duration::from_secs(5)));
    assert_eq!(sent(&mut outbox, begin + Duration::from_secs(5)).len(), 1);
    assert_eq!(sent(&mut outbox, begin + MINUTE).len(), 5);
}

#[test]
fn critical_message_overtakes_lesser_ones_and_none_about_its_cause() {
    let begin = Instant::now();
    let mut outbox = RateLimitedQueue::new(begin);
    for cause in [
        Cause::Quiet,
        Cause::DiskLow,
        Cause::ClockOff,
        Cause::Rebalance,
        Cause::Blind,
    ] {
        outbox.push(problem(cause, ""));
    }
    assert_eq!(sent(&mut outbox, begin).len(), 5, "the rate is used up");
    for letter in [
        problem(Cause::SlowStart, ""),
        problem(Cause::Stalled, "early"),
        stalled(),
        over(Cause::SlowStart),
    ] {
        outbox.push(letter);
    }
    let mut drained = RateLimitedQueue::new(begin);
    drained.push(problem(Cause::SlowStart, ""));
    drained.push(stalled());
    let order: Vec<_> = (1..=4)
        .filter_map(|n| outbox.next(begin + n * Duration::from_secs(5)))
        .map(|letter| (letter.message.cause.unwrap(), letter.message.kind))
        .collect();
    let expected = [
        (Cause::Stalled, NotificationKind::Problem),
        (Cause::Stalled, NotificationKind::Action),
        (Cause::SlowStart, NotificationKind::Problem),
        (Cause::SlowStart, NotificationKind::Over),
    ];
    assert_eq!(order, expected);
    let last: Vec<_> = drained.drain().collect();
    assert_eq!(about(&last), [(Some(Cause::Stalled), 0), (Some(Cause::SlowStart), 0)]);
}

#[test]
fn after_a_quiet_time_news_go_out_at_once_again() {
    let begin = Instant::now();
    let mut outbox = RateLimitedQueue::new(begin);
    for round in 0..3 {
        let now = begin + round * 20 * MINUTE;
        for _ in 0..4 {
            outbox.push(problem(Cause::Quiet, ""));
            assert_eq!(sent(&mut outbox, now).len(), 1);
        }
    }
}

proptest! {
    #[test]
    fn nothing_goes_untold_and_little_waits(steps in prop::collection::vec((0..4_usize, 0..400_u64), 1..200)) {
        let mut now = Instant::now();
        let mut outbox = RateLimitedQueue::new(now);
        let (mut pushed, mut told, mut waiting) = (0, 0, 0);
        let mut last = [None; 4];
        for (n, (which, seconds)) in steps.into_iter().enumerate() {
            let cause = Cause::VARIANTS[which];
            outbox.push(problem(cause, &n.to_string()));
            last[which] = Some(n);
            pushed += 1;
            waiting += 1;
            now += Duration::from_secs(seconds);
            for letter in sent(&mut outbox, now) {
                told += 1 + letter.more;
                waiting -= 1 + letter.more;
            }
            prop_assert_eq!(pushed, told + waiting);
        }
        let mut newest = [None; 4];
        let rest: Vec<_> = outbox.drain().collect();
        prop_assert!(rest.len() <= 8);
        for letter in rest {
            told += 1 + letter.more;
            let which = Cause::VARIANTS.iter().position(|c| Some(*c) == letter.message.cause).unwrap();
            newest[which] = Some(letter.message.text.parse().unwrap());
        }
        prop_assert_eq!(pushed, told);
        for (newest, last) in newest.into_iter().zip(last) {
            prop_assert!(newest.is_none() || newest == last, "the newest was lost");
        }
    }
}
