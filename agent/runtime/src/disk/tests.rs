#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::simulation::{Fate, World};
use crate::{boottime, wall};

const SHORT_LIMIT: Duration = Duration::from_millis(50);

/// A job that stalls until the sender is dropped.
fn stalling() -> (std::sync::mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
    let (gate, stalls) = channel::<()>();
    (gate, move || {
        // Ends when the sender is gone.
        let _ = stalls.recv();
    })
}

#[tokio::test]
async fn job_is_done_off_the_thread_and_its_result_returned() {
    let here = std::thread::current().id();
    let there = run(Disk::State, || std::thread::current().id()).await.unwrap();
    assert_ne!(here, there);
    let error = run_io(Disk::State, || Err::<(), _>(io::ErrorKind::StorageFull.into())).await;
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
}

#[tokio::test]
async fn stalled_disk_is_named_until_it_answers_and_the_job_is_done() {
    let mut disks = stalled();
    let (gate, job) = stalling();
    let error = run_on(&SHORT, Disk::Data, SHORT_LIMIT, job).await.unwrap_err();
    assert!(error.is_stall());
    assert_eq!(
        error.to_string(),
        "the data disk does not answer: check its device and mount"
    );
    assert!(disks.borrow_and_update().contains(Disk::Data));
    assert!(!disks.borrow().contains(Disk::State));
    drop(gate);
    disks.wait_for(|disks| !disks.contains(Disk::Data)).await.unwrap();
    assert_eq!(run(Disk::Data, || 7).await.unwrap(), 7);
}

#[tokio::test]
async fn jobs_on_a_stalled_disk_take_one_thread_and_fail_at_once() {
    let (gate, job) = stalling();
    assert!(run_on(&SHORT, Disk::Identity, SHORT_LIMIT, job).await.is_err());
    let begun = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let count = Arc::clone(&begun);
        let job = move || count.fetch_add(1, Ordering::Relaxed);
        // Without the early end, each would wait for the whole limit.
        let failed = run_on(&SHORT, Disk::Identity, Duration::from_hours(1), job).await;
        assert!(failed.unwrap_err().is_stall());
    }
    assert_eq!(begun.load(Ordering::Relaxed), 0);
    assert_eq!(run(Disk::Mounts, || 7).await.unwrap(), 7, "others go on");
    let long = run_long(Disk::Identity, Duration::from_mins(1), || 8).await;
    assert_eq!(long.unwrap(), 8, "the other lane goes on");
    drop(gate);
}

#[tokio::test]
async fn dropped_caller_keeps_its_lane_until_the_job_is_done() {
    let (gate, job) = stalling();
    let call = tokio::spawn(run_on(&SHORT, Disk::System, SHORT_LIMIT, job));
    while SHORT[Disk::System as usize].turn.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    call.abort();
    assert!(
        run_on(&SHORT, Disk::System, SHORT_LIMIT, || ())
            .await
            .unwrap_err()
            .is_stall()
    );
    drop(gate);
    stalled().wait_for(|disks| !disks.contains(Disk::System)).await.unwrap();
    run(Disk::System, || ()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn simulated_disk_runs_inline_delays_fails_and_stalls() {
    let world = World::begin(Timestamp::UNIX_EPOCH);
    let here = std::thread::current().id();
    let at = || run(Disk::State, || std::thread::current().id());
    assert_eq!(at().await.unwrap(), here);
    let began = Instant::now();
    world.set_disks(|_, _| Fate::Delay(Duration::from_secs(2)));
    assert_eq!(at().await.unwrap(), here);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    world.set_disks(|_, _| Fate::Fail(io::ErrorKind::StorageFull.into()));
    assert!(!at().await.unwrap_err().is_stall());
    world.set_disks(|_, _| Fate::Stall);
    assert!(at().await.unwrap_err().is_stall());
    assert_eq!(began.elapsed(), Duration::from_secs(2) + LIMIT);
    assert!(stalled().borrow().contains(Disk::State));
}

#[tokio::test(start_paused = true)]
async fn simulated_job_later_than_its_bound_is_done_all_the_same() {
    let world = World::begin(Timestamp::UNIX_EPOCH);
    world.set_disks(|_, limit| Fate::Delay(2 * limit));
    let (done, mut wait) = tokio::sync::oneshot::channel();
    assert!(run(Disk::State, || done.send(7)).await.unwrap_err().is_stall());
    assert!(wait.try_recv().is_err());
    assert_eq!(wait.await.unwrap(), 7);
    stalled().wait_for(|disks| !disks.contains(Disk::State)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn simulated_clocks_go_on_with_virtual_time_and_step() {
    let world = World::begin(Timestamp::UNIX_EPOCH);
    let booted = boottime::now();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(
        (wall::unix_ms(), boottime::now().saturating_sub(booted)),
        (10_000, Duration::from_secs(10))
    );
    world.step_wall(SignedDuration::from_secs(-4));
    assert_eq!(
        (wall::unix_ms(), boottime::now().saturating_sub(booted)),
        (6_000, Duration::from_secs(10))
    );
    world.suspend(Duration::from_secs(5));
    assert_eq!(
        (wall::unix_ms(), boottime::now().saturating_sub(booted)),
        (11_000, Duration::from_secs(15))
    );
    drop(world);
    assert!(wall::unix_ms() > 1_000_000_000_000);
}

#[tokio::test(start_paused = true)]
async fn step_of_the_wall_clock_is_noticed_once_and_a_suspension_is_none() {
    let world = World::begin(Timestamp::UNIX_EPOCH);
    let mut steps = wall::StepDetector::begin();
    tokio::time::sleep(Duration::from_hours(1)).await;
    world.suspend(Duration::from_hours(1));
    assert_eq!(steps.step(), None);
    world.step_wall(SignedDuration::from_hours(-2));
    assert_eq!((steps.step(), steps.step()), (Some(-7_200_000), None));
    for _ in 0..2 {
        world.step_wall(SignedDuration::from_millis(150));
    }
    assert_eq!(steps.step(), Some(300), "small ones add up");
}

#[test]
fn clock_since_boot_goes_on_and_the_real_distance_holds() {
    let (before, distance) = (boottime::now(), wall::distance_ms());
    assert!(boottime::now() >= before);
    assert_eq!(wall::step_between(distance, wall::distance_ms()), None);
}
