//! A year of a collator's life in a few seconds, closed loop: what the core orders is done to a small world,
//! and the world answers. The judge knows what is really wrong and counts what the core missed, what it did
//! for nothing, and what did harm.

mod chain;
mod course;
mod engine;
mod interventions;
mod judge;
mod reports;
mod troubles;
mod world;

use judge::Score;
use troubles::Trouble;
use world::World;

const DAY: u64 = 24 * 3600 * 1000;
const YEAR: u64 = 365;

/// Lives that once went wrong: seed and days.
const FIXTURES: [(u64, u64); 5] = [
    // A `docker stop` while the agent was away, before it had heard of any end.
    (18, 1),
    // A refused restart was told for good.
    (31, 1),
    // A crash while the agent was away, after a `docker restart` by hand.
    (93, 7),
    (30, 8),
    // A `docker stop` while a crash loop was remembered.
    (17, 9),
];

fn live(seed: u64, days: u64) -> Score {
    let mut world = World::new(seed);
    world.live_until(days * DAY);
    world.judge.score
}

#[expect(clippy::print_stdout, reason = "a seed is worth nothing unless it is told")]
fn check(seed: u64, days: u64) -> Score {
    let score = live(seed, days);
    println!("seed {seed}, {days} days: {score}");
    let counts = [&score.missed, &score.wrong, &score.harmful].map(Vec::len);
    let stories = score.missed.iter().chain(&score.wrong).chain(&score.harmful);
    let first: Vec<_> = stories.take(3).map(String::as_str).collect();
    assert_eq!(
        counts,
        [0, 0, 0],
        "seed {seed}, missed, false and harmful\n{}",
        first.join("\n\n")
    );
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
    let cured = crate::machine::Cause::HEALTH
        .into_iter()
        .filter(|cause| *cause != crate::machine::Cause::FinalityStalled);
    for cause in cured {
        assert!(
            score.restarts.contains_key(&cause),
            "seed {seed}: nothing was ever restarted for {cause:?}"
        );
    }
}

#[test]
fn lives_that_once_went_wrong_go_well() {
    for (seed, days) in FIXTURES {
        check(seed, days);
    }
}

#[test]
fn a_life_is_the_same_when_it_is_led_again() {
    assert_eq!(live(1, 20).to_string(), live(1, 20).to_string());
}
