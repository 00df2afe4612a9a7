//! A year of a collator's life in a few seconds, closed loop: what the core orders is done to a small world,
//! and the world answers. The judge knows what is really wrong and counts what the core missed, what it did
//! for nothing, and what did harm.

mod chain;
mod course;
mod engine;
mod field;
mod interventions;
mod judge;
mod messages;
mod reports;
mod troubles;
mod world;

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{iter, thread};

use judge::Score;
use troubles::Trouble;
use world::World;

const DAY: u64 = 24 * 3600 * 1000;
const YEAR: u64 = 365;
/// Days of each of many lives, and the seed of the first.
const LIFE: u64 = 12;
const FIRST_SEED: u64 = 1001;

/// Lives that once went wrong: seed and days.
const FIXTURES: [(u64, u64); 17] = [
    // A `docker stop` while the agent was away, before it had heard of any end.
    (18, 1),
    // A refused restart was told for good.
    (31, 1),
    // A crash while the agent was away, after a `docker restart` by hand.
    (93, 7),
    (30, 8),
    // A `docker stop` while a crash loop was remembered.
    (17, 9),
    // Peers lost with a start and with a host suspended twice: they come and go.
    (1326, 12),
    (1354, 12),
    (1564, 12),
    // A reference that fell back by less than a reorganisation, on a chain that went on after a halt.
    (1787, 12),
    // Peers that came and went when the agent came back, and when the node fell silent.
    (1861, 12),
    (1855, 12),
    // A reorganisation while falling behind.
    (1693, 12),
    // An address whose reference was on a fork, and tells the truth later, without a block to compare.
    (1700, 12),
    // An end for want of memory, and half a day later a reboot whose end nobody saw.
    (1707, 12),
    // A best that sank a little when the peers were lost, and came back a moment later: no block made alone.
    (1165, 12),
    // A network that was down before the host was suspended, and a lag that began before the last one was over.
    (1273, 12),
    (1741, 12),
];

fn live(seed: u64, days: u64) -> Score {
    let mut world = World::new(seed);
    world.live_until(days * DAY);
    world.judge.score
}

/// The score, and what went wrong first.
#[expect(clippy::print_stdout, reason = "a seed is worth nothing unless it is told")]
fn judged(seed: u64, days: u64) -> (Score, Option<String>) {
    let score = live(seed, days);
    println!("seed {seed}, {days} days: {score}");
    let faults = [&score.missed, &score.wrong, &score.harmful, &score.repeated];
    let first = faults.into_iter().flatten().next();
    let story = first.map(|story| format!("seed {seed}, {days} days: {score}\n{story}"));
    (score, story)
}

fn check(seed: u64, days: u64) -> Score {
    let (score, story) = judged(seed, days);
    assert!(story.is_none(), "{}", story.unwrap_or_default());
    score
}

/// `SIMULATION_SEED` leads another year than the usual one.
#[test]
#[expect(clippy::disallowed_methods, reason = "a person chooses the seed")]
fn year_with_every_fault_has_nothing_missed_false_or_harmful() {
    let seed = std::env::var("SIMULATION_SEED").map_or(1, |seed| seed.parse().unwrap());
    let score = check(seed, YEAR);
    for trouble in Trouble::ALL {
        assert!(score.met.contains_key(trouble), "seed {seed}: {trouble:?} never came");
    }
    for cause in crate::machine::Cause::HEALTH {
        assert!(
            score.restarts.contains_key(&cause),
            "seed {seed}: nothing was ever restarted for {cause:?}"
        );
    }
}

/// `SIMULATION_SEEDS` leads more lives than the usual ones.
#[test]
#[expect(clippy::disallowed_methods, reason = "a person chooses how many")]
fn lives_with_every_kind_of_the_field_go_well() {
    let count: u64 = std::env::var("SIMULATION_SEEDS").map_or(20, |seeds| seeds.parse().unwrap());
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicU64::new(FIRST_SEED);
    let work = || {
        let seeds = iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        let seeds = seeds.take_while(|seed| *seed < FIRST_SEED + count);
        seeds.filter_map(|seed| judged(seed, LIFE).1).collect::<Vec<_>>()
    };
    let stories = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let stories = workers.into_iter().flat_map(|worker| worker.join().unwrap());
        stories.collect::<Vec<_>>()
    });
    assert!(stories.is_empty(), "{}", stories.join("\n\n"));
}

#[test]
fn lives_that_once_went_wrong_go_well() {
    let stories: Vec<_> = FIXTURES
        .into_iter()
        .filter_map(|(seed, days)| judged(seed, days).1)
        .collect();
    assert!(stories.is_empty(), "{}", stories.join("\n\n"));
}

#[test]
fn a_life_is_the_same_when_it_is_led_again() {
    assert_eq!(live(1, 20).to_string(), live(1, 20).to_string());
}
