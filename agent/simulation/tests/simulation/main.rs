//! The whole program on virtual time, under one seed: docs/development/testing.md.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cloud;
mod dice;
mod engine;
mod engine_api;
mod host;
mod judge;
mod machine;
mod network;
mod node;
mod two_hosts;
mod world;

use std::iter;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use two_hosts::play;
use world::Storage;

/// A number of seeds from the environment.
fn count(default: u64) -> u64 {
    std::env::var("SIMULATION_SEEDS").map_or(default, |seeds| seeds.parse().unwrap())
}

/// What went wrong under each of these seeds, on all processors.
fn stories(seeds: std::ops::Range<u64>, judged: impl Fn(u64) -> Option<String> + Sync) -> Vec<String> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let all = iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        let all = all.take_while(|seed| *seed < seeds.end);
        all.filter_map(&judged).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[expect(clippy::print_stdout, reason = "a seed is worth nothing unless it is told")]
fn judged(seed: u64, storage: Storage) -> Option<String> {
    let outcome = play(seed, storage);
    println!(
        "seed {seed}, {storage:?}: {} blows, {} starts, signed for {} s",
        outcome.blows,
        outcome.starts,
        outcome.signed / 1000
    );
    if std::env::var("SIMULATION_STORY").is_ok() {
        println!("{}", outcome.story);
    }
    let first = outcome.violations.first()?;
    Some(format!("seed {seed}, {storage:?}: {first}"))
}

fn check_hosts(storage: Storage) {
    if let Ok(seed) = std::env::var("SIMULATION_SEED") {
        let story = judged(seed.parse().unwrap(), storage);
        assert!(story.is_none(), "{}", story.unwrap_or_default());
        return;
    }
    let stories = stories(1..1 + count(100), |seed| judged(seed, storage));
    assert!(
        stories.is_empty(),
        "{} went wrong\n{}",
        stories.len(),
        stories.join("\n\n")
    );
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
fn schedule_is_the_same_when_it_is_played_again() {
    for storage in [Storage::Lease, Storage::Volume] {
        assert_eq!(play(7, storage).story, play(7, storage).story);
    }
}
