//! The whole program on virtual time, under one seed: docs/development/testing.md.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cloud;
mod dice;
mod engine;
mod engine_api;
mod host;
mod images;
mod judge;
mod life;
mod machine;
mod network;
mod node;
mod outside;
mod trouble;
mod two_hosts;
mod watch;
mod world;

use std::iter;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use two_hosts::{Outcome, play};
use world::Storage;

/// Schedules that once went wrong, and what they found.
const FIXTURES: [(u64, Storage); 2] = [
    // The agent hangs, and the mount hangs when the next one starts: the lease was unknown for ever, and two signed.
    (15, Storage::Lease),
    // The holder's agent hangs when the volume is torn off: the next host waited for half a minute only.
    (34, Storage::Volume),
];

/// Lives that once went wrong, and what they found.
const LIVES: [u64; 17] = [
    // The clock is set back, and Docker repeats the end of an earlier run: the collator that runs counted as ended for ever.
    107, // A start typed while docker stop is under way: the stop counted as the newer wish.
    696, // A stop typed while a restart waits for the collator's end: the restart started it all the same.
    459, // Stopped and started within a millisecond: the end counted as one of the run that had just begun.
    291, // Commands while the state disk stalls: the status was not published for 20 s.
    535,
    // The agent hangs while docker stop is typed, and the next one takes the time between for a step of the clock.
    559,
    // Set back, stopped, started, and another agent begins: Docker's old events counted as newer than the run.
    1919, // The clock is set forward under a spot notice, which then counted as one of an earlier boot.
    2258, // The data's disk stalls while a bad image is taken back: the collator was held for good.
    627,
    // The engine hangs while an update stops the collator: the late end counted as a person's docker stop.
    7519,
    // The engine hangs for a moment that only an action notices: Docker counted as out of reach until its next event.
    8447,
    // The clock was set back, and an end of an earlier run bears a time of now: the end of a docker stop that went on still, reported
    // after a start, counted as the newer wish.
    22,
    // A look says by the clock of before when a container ended: what happened in the next run seemed older, and was not heard.
    3630, 3862,
    // The clock was set back by more than the run had lasted: a docker stop of an earlier run counted as one of now.
    6261, // The same, after the docker stop: it was taken for an end like any other, and the collator was started.
    6734, // A restart that an engine carried out while it hung did not count.
    7066,
];

/// A number of seeds from the environment.
fn count(default: u64) -> u64 {
    std::env::var("SIMULATION_SEEDS").map_or(default, |seeds| seeds.parse().unwrap())
}

/// What went wrong under each of these seeds, on all processors.
fn stories(seeds: std::ops::Range<u64>, judged: impl Fn(u64) -> Option<String> + Sync) -> Vec<String> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicU64::new(seeds.start);
    let first_only = std::env::var("SIMULATION_FIRST").is_ok();
    let work = || {
        let all = iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        let all = all.take_while(|seed| *seed < seeds.end);
        let went_wrong = all.filter_map(|seed| {
            let story = judged(seed);
            if story.is_some() && first_only {
                next.store(seeds.end, Ordering::Relaxed);
            }
            story
        });
        went_wrong.collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

/// What went wrong first; the rest is printed.
#[expect(clippy::print_stdout, reason = "a seed is worth nothing unless it is told")]
fn report(seed: u64, what: &str, outcome: Outcome) -> Option<String> {
    let Outcome {
        blows, starts, signed, ..
    } = outcome;
    println!(
        "seed {seed}, {what}: {blows} blows, {starts} starts, signed for {} s",
        signed / 1000
    );
    if std::env::var("SIMULATION_STORY").is_ok() {
        println!("{}", outcome.story);
    }
    let first = outcome.violations.into_iter().next()?;
    println!("seed {seed}, {what}: {}", first.lines().next().unwrap_or_default());
    Some(format!("seed {seed}, {what}: {first}"))
}

/// As many seeds, or the one that `SIMULATION_SEED` says.
fn check(seeds: u64, judged: impl Fn(u64) -> Option<String> + Sync) {
    log();
    let seeds = match std::env::var("SIMULATION_SEED") {
        Ok(seed) => {
            let seed = seed.parse().unwrap();
            seed..seed + 1
        }
        Err(_) => 1..1 + seeds,
    };
    let stories = stories(seeds, judged);
    assert!(
        stories.is_empty(),
        "{} went wrong\n{}",
        stories.len(),
        stories.join("\n\n")
    );
}

/// With `SIMULATION_LOG`, what the agents log stands beside the story, as it happens.
fn log() {
    if std::env::var("SIMULATION_LOG").is_ok() {
        // Set by an earlier test.
        let _ = tracing_subscriber::fmt().without_time().with_ansi(false).try_init();
    }
}

fn check_hosts(storage: Storage) {
    check(count(100), |seed| {
        report(seed, &format!("{storage:?}"), play(seed, storage))
    });
}

#[test]
fn two_hosts_with_a_lease_never_sign_with_one_key() {
    check_hosts(Storage::Lease);
}

#[test]
fn two_hosts_with_a_volume_never_sign_with_one_key() {
    check_hosts(Storage::Volume);
}

#[test]
fn schedules_that_once_went_wrong_go_well() {
    for (seed, storage) in FIXTURES {
        assert_eq!(report(seed, &format!("{storage:?}"), play(seed, storage)), None);
    }
    for seed in LIVES {
        assert_eq!(report(seed, "life", life::live(seed)), None);
    }
}

#[test]
fn lives_with_every_trouble_keep_every_promise() {
    check(count(20), |seed| report(seed, "life", life::live(seed)));
}

#[test]
fn life_is_the_same_when_it_is_led_again() {
    assert_eq!(life::live(7).story, life::live(7).story);
}

#[test]
fn schedule_is_the_same_when_it_is_played_again() {
    for storage in [Storage::Lease, Storage::Volume] {
        assert_eq!(play(7, storage).story, play(7, storage).story);
    }
}

/// The worlds in place of sockets, disks and kernel are a feature that only this crate's tests ask for.
#[test]
fn feature_of_the_simulation_is_not_in_the_release_binary() {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    let tree = cargo.args([
        "tree",
        "--locked",
        "--offline",
        "--workspace",
        "--edges",
        "features,no-dev",
        "--prefix",
        "none",
    ]);
    let tree = tree.output().unwrap();
    let text = String::from_utf8(tree.stdout).unwrap();
    assert!(
        text.contains("agent-net feature"),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    assert!(!text.contains("feature \"simulation\""), "{text}");
}
