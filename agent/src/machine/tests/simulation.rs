//! A year of a collator's life in a few seconds, closed loop: what the core orders is done to a small world,
//! and the world answers. The judge knows what is really wrong and counts what the core missed, what it did
//! for nothing, and what did harm.

mod judge;
mod troubles;
mod world;

use judge::Score;
use world::World;

const DAY: u64 = 24 * 3600 * 1000;

/// Lives that once went wrong: seed and days.
const FIXTURES: [(u64, u64); 0] = [];

fn live(seed: u64, days: u64) -> Score {
    let mut world = World::new(seed);
    world.live_until(days * DAY);
    world.score
}

fn check(seed: u64, days: u64) -> Score {
    let score = live(seed, days);
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

#[test]
fn a_year_with_every_kind_of_fault_goes_by_with_nothing_missed_false_or_harmful() {
    let seed = match std::env::var("SIMULATION_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64,
    };
    let score = check(seed, 365);
    println!("seed {seed}: {score}");
    for (trouble, times) in &score.met {
        assert!(*times > 0, "{trouble} never came");
    }
    for cause in crate::machine::Cause::HEALTH {
        assert!(
            score.restarts.contains_key(&cause),
            "nothing was ever restarted for {cause:?}"
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
