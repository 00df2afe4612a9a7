//! A storm of news becomes a few messages, and the newest is never lost.

#![expect(clippy::disallowed_methods, reason = "any instant will do as the first")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use strum::VariantArray as _;

use super::*;
use crate::notification::queue::{QueuedMessage, RateLimitedQueue};

const MINUTE: Duration = Duration::from_mins(1);

/// Everything that may go out at `now`: what it is about, and how many more it stands for.
fn sent(queue: &mut RateLimitedQueue, now: Instant) -> Vec<QueuedMessage> {
    std::iter::from_fn(|| queue.next(now)).collect()
}

fn about(messages: &[QueuedMessage]) -> Vec<(Option<Cause>, u64)> {
    messages.iter().map(|l| (l.message.cause, l.more)).collect()
}

#[test]
fn news_go_out_at_once_and_in_order() {
    let now = Instant::now();
    let mut queue = RateLimitedQueue::new(now);
    for cause in [Cause::Exited, Cause::Stalled, Cause::Exited] {
        queue.push(problem(cause, ""));
    }
    let expected = [Cause::Exited, Cause::Stalled, Cause::Exited].map(|c| (Some(c), 0));
    assert_eq!(about(&sent(&mut queue, now)), expected);
    assert_eq!(queue.deadline(), None);
}

#[test]
fn crash_loop_sends_four_messages_then_one_per_five_minutes() {
    let begin = Instant::now();
    let mut queue = RateLimitedQueue::new(begin);
    let mut messages = Vec::new();
    // A crash and its end every ten seconds, for an hour.
    for n in 0..360 {
        let now = begin + n * Duration::from_secs(10);
        queue.push(problem(Cause::Exited, ""));
        queue.push(over(Cause::Exited));
        messages.extend(sent(&mut queue, now));
    }
    assert!((14..=16).contains(&messages.len()), "{}", messages.len());
    assert_eq!(about(&messages[..4]), [(Some(Cause::Exited), 0); 4]);
    messages.extend(sent(&mut queue, begin + 90 * MINUTE));
    let told: u64 = messages.iter().map(|l| 1 + l.more).sum();
    assert_eq!(told, 720, "every one is told, or counted");
    assert_eq!(
        messages.last().unwrap().message.kind,
        NotificationKind::Over,
        "the last word is how things stand"
    );
}

#[test]
fn one_storm_does_not_hold_up_other_news() {
    let now = Instant::now();
    let mut queue = RateLimitedQueue::new(now);
    for _ in 0..50 {
        queue.push(problem(Cause::Exited, ""));
        sent(&mut queue, now);
    }
    queue.push(problem(Cause::CrashLoop, ""));
    assert_eq!(about(&sent(&mut queue, now)), [(Some(Cause::CrashLoop), 0)]);
    assert_eq!(queue.deadline(), Some(now + 5 * MINUTE));
}

#[test]
fn all_news_together_go_out_no_faster_than_the_services_take_them() {
    let begin = Instant::now();
    let mut queue = RateLimitedQueue::new(begin);
    for cause in &Cause::VARIANTS[..12] {
        queue.push(problem(*cause, ""));
    }
    assert_eq!(sent(&mut queue, begin).len(), 5);
    assert_eq!(queue.deadline(), Some(begin + Duration::from_secs(5)));
    assert_eq!(sent(&mut queue, begin + Duration::from_secs(5)).len(), 1);
    assert_eq!(sent(&mut queue, begin + MINUTE).len(), 5);
}

#[test]
fn critical_message_overtakes_lesser_ones_and_none_about_its_cause() {
    let begin = Instant::now();
    let mut queue = RateLimitedQueue::new(begin);
    for cause in [
        Cause::Quiet,
        Cause::DiskLow,
        Cause::ClockOff,
        Cause::Rebalance,
        Cause::Blind,
    ] {
        queue.push(problem(cause, ""));
    }
    assert_eq!(sent(&mut queue, begin).len(), 5, "the rate is used up");
    for message in [
        problem(Cause::SlowStart, ""),
        problem(Cause::Stalled, "early"),
        stalled(),
        over(Cause::SlowStart),
    ] {
        queue.push(message);
    }
    let mut drained = RateLimitedQueue::new(begin);
    drained.push(problem(Cause::SlowStart, ""));
    drained.push(stalled());
    let order: Vec<_> = (1..=4)
        .filter_map(|n| queue.next(begin + n * Duration::from_secs(5)))
        .map(|queued| (queued.message.cause.unwrap(), queued.message.kind))
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
    let mut queue = RateLimitedQueue::new(begin);
    for round in 0..3 {
        let now = begin + round * 20 * MINUTE;
        for _ in 0..4 {
            queue.push(problem(Cause::Quiet, ""));
            assert_eq!(sent(&mut queue, now).len(), 1);
        }
    }
}

proptest! {
    #[test]
    fn nothing_goes_untold_and_little_waits(steps in prop::collection::vec((0..4_usize, 0..400_u64), 1..200)) {
        let mut now = Instant::now();
        let mut queue = RateLimitedQueue::new(now);
        let (mut pushed, mut told, mut waiting) = (0, 0, 0);
        let mut last = [None; 4];
        for (n, (which, seconds)) in steps.into_iter().enumerate() {
            let cause = Cause::VARIANTS[which];
            queue.push(problem(cause, &n.to_string()));
            last[which] = Some(n);
            pushed += 1;
            waiting += 1;
            now += Duration::from_secs(seconds);
            for queued in sent(&mut queue, now) {
                told += 1 + queued.more;
                waiting -= 1 + queued.more;
            }
            prop_assert_eq!(pushed, told + waiting);
        }
        let mut newest = [None; 4];
        let rest: Vec<_> = queue.drain().collect();
        prop_assert!(rest.len() <= 8);
        for queued in rest {
            told += 1 + queued.more;
            let which = Cause::VARIANTS.iter().position(|c| Some(*c) == queued.message.cause).unwrap();
            newest[which] = Some(queued.message.text.parse().unwrap());
        }
        prop_assert_eq!(pushed, told);
        for (newest, last) in newest.into_iter().zip(last) {
            prop_assert!(newest.is_none() || newest == last, "the newest was lost");
        }
    }
}
