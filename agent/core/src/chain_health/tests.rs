mod activity;
mod moments;
mod sampling;

use strum::VariantArray as _;

use super::*;

const WINDOWS: Windows = Windows {
    lag_blocks: 10,
    stall_after: Duration::from_mins(5),
    isolated_after: Duration::from_mins(5),
    stale_after: Duration::from_secs(15),
    may_rest: false,
    gap_after: Duration::from_secs(75),
    activity_extension: 3,
    activity_bytes: 32 << 10,
    idle_after: Duration::from_mins(5),
    unpersisted_after: Duration::from_hours(4),
};

/// A tracker that is looked at every `spacing` seconds.
struct Look {
    tracker: ChainTracker,
    now: Time,
    spacing: u64,
    context: Context,
}

impl Look {
    fn at(chain: Chain) -> Self {
        Self {
            tracker: ChainTracker::new(chain),
            now: Time(0),
            spacing: 5,
            context: Context::default(),
        }
    }

    fn pass(&mut self) {
        self.now.0 += self.spacing * 1000;
    }

    fn see(&mut self, sample: Sample) -> bool {
        self.pass();
        self.tracker.observe(self.now, sample, &WINDOWS, self.context)
    }

    fn see_for(&mut self, seconds: u64, sample: &Sample) {
        for _ in 0..seconds / self.spacing {
            self.see(sample.clone());
        }
    }

    fn miss(&mut self, error: ScrapeError) {
        self.pass();
        self.tracker.miss(self.now, error, &WINDOWS, self.context);
    }

    fn verdict(&self) -> Verdict {
        self.tracker.verdict(self.now, &WINDOWS, self.context)
    }
}

fn at(best: u64, target: u64, peers: u64) -> Sample {
    Sample {
        best: Some(best),
        target: Some(target),
        peers: Some(peers),
        ..Sample::default()
    }
}

#[test]
fn best_alone_is_progress_of_best() {
    let base = Sample {
        finalized: Some(5),
        imported_total: Some(7),
        ..at(10, 100, 3)
    };
    let finalized = Sample {
        finalized: Some(6),
        ..base.clone()
    };
    let imported = Sample {
        imported_total: Some(8),
        ..base.clone()
    };
    for (sample, progress) in [(at(11, 100, 3), true), (finalized, false), (imported, false)] {
        let mut look = Look::at(Chain::Parachain);
        assert!(!look.see(base.clone()), "the first sample proves nothing");
        assert!(!look.see(base.clone()));
        assert_eq!(look.see(sample), progress);
        assert_eq!(look.tracker.progressed_at(), progress.then_some(look.now));
    }
}

#[test]
fn a_reorganisation_is_no_progress_until_the_old_height_is_passed() {
    let mut look = Look::at(Chain::Parachain);
    look.see(at(1000, 2000, 3));
    assert!(!look.see(at(997, 2000, 3)));
    assert!(!look.see(at(1000, 2000, 3)));
    assert!(look.see(at(1001, 2000, 3)));
    assert_eq!(look.tracker.heights.best, Some(1001));
}

#[test]
fn a_node_that_flaps_between_two_heights_is_stuck() {
    let mut look = Look::at(Chain::Parachain);
    for round in 0..60 {
        look.see(at(1000 - round % 2, 2000, 3));
    }
    assert_eq!(look.verdict(), Verdict::Syncing);
    look.see_for(10, &at(1000, 2000, 3));
    assert_eq!(look.verdict(), Verdict::Stalled);
}

#[test]
fn an_emptied_database_counts_from_where_it_is() {
    let mut look = Look::at(Chain::Parachain);
    look.see(at(1000, 2000, 3));
    look.see_for(60, &at(0, 2000, 3));
    assert!(look.see(at(1, 2000, 3)));
}

#[test]
fn imported_blocks_that_do_not_raise_best_excuse_three_windows() {
    let imported = |n| Sample {
        imported_total: Some(n),
        ..at(10, 100, 3)
    };
    let mut look = Look::at(Chain::Parachain);
    look.see(imported(0));
    for n in 1..180 {
        look.see(imported(n));
    }
    assert_eq!(look.verdict(), Verdict::Syncing);
    look.see(imported(180));
    assert_eq!(look.verdict(), Verdict::Stalled);
}

#[test]
fn what_a_page_lacks_for_a_moment_is_not_forgotten() {
    let mut look = Look::at(Chain::Parachain);
    let full = Sample {
        imported_total: Some(1),
        process_start: Some(77),
        ..at(10, 100, 3)
    };
    look.see(full.clone());
    look.see(Sample::default());
    assert!(!look.see(full.clone()), "the old height is no progress");
    look.see_for(290, &at(10, 100, 3));
    look.see(Sample::default());
    look.see(Sample {
        process_start: Some(78),
        ..full
    });
    assert_eq!(look.tracker.stuck, ExcusableDuration::default(), "another process");
}

#[test]
fn another_process_starts_every_window_anew() {
    let mut look = Look::at(Chain::Parachain);
    let of = |process| Sample {
        process_start: Some(process),
        ..at(10, 100, 3)
    };
    look.see_for(290, &of(1));
    look.see_for(290, &of(2));
    assert_eq!(look.verdict(), Verdict::Syncing);
    look.see_for(20, &of(2));
    assert_eq!(look.verdict(), Verdict::Stalled);
}

#[test]
fn the_distance_must_be_exceeded_first() {
    let mut look = Look::at(Chain::Parachain);
    look.see_for(3600, &at(999, 1009, 3));
    assert_eq!(
        look.verdict(),
        Verdict::Unknown,
        "started into a halt, it was not seen in sync"
    );
    look.see_for(3600, &at(1000, 1010, 3));
    assert_eq!(look.verdict(), Verdict::Quiet);
    look.see(at(1000, 1200, 3));
    look.see_for(290, &at(1000, 1200, 3));
    assert_eq!(
        look.verdict(),
        Verdict::Syncing,
        "a target that jumps after a halt is no stall yet"
    );
    look.see_for(10, &at(1000, 1200, 3));
    assert_eq!(look.verdict(), Verdict::Stalled);
}

#[test]
fn a_target_that_flaps_neither_hides_nor_makes_a_stall() {
    let mut look = Look::at(Chain::Parachain);
    for round in 0..80 {
        look.see(at(1000, if round % 5 == 0 { 990 } else { 2000 }, 3));
    }
    assert_eq!(look.verdict(), Verdict::Stalled);
    let mut look = Look::at(Chain::Parachain);
    for round in 0..2000 {
        look.see(at(1000, if round % 20 == 0 { 2000 } else { 990 }, 3));
    }
    assert_eq!(look.tracker.stuck, ExcusableDuration::default());
}

#[test]
fn a_blink_without_peers_is_part_of_the_time_and_a_long_absence_is_not() {
    let mut look = Look::at(Chain::Parachain);
    look.see(at(10, 100, 1));
    for _ in 0..30 {
        look.see(at(10, 10, 0));
        look.see(at(10, 100, 1));
    }
    assert_eq!(look.verdict(), Verdict::Stalled);

    let mut look = Look::at(Chain::Parachain);
    look.see(at(10, 100, 1));
    look.see_for(290, &at(10, 10, 0));
    look.see(at(10, 100, 1));
    assert_eq!(look.tracker.stuck.total(), Duration::from_secs(5));
}

#[test]
fn no_peers_for_the_window_is_isolation() {
    let mut look = Look::at(Chain::Parachain);
    look.see(at(10, 100, 1));
    look.see_for(295, &at(10, 10, 0));
    assert_eq!(look.verdict(), Verdict::Unknown);
    look.see(at(10, 10, 0));
    assert_eq!(look.verdict(), Verdict::Isolated);
    look.see(at(11, 11, 0));
    assert_eq!(look.verdict(), Verdict::Syncing, "progress always wins");
}

#[test]
fn an_unknown_number_of_peers_is_neither_none_nor_some() {
    let mut look = Look::at(Chain::Parachain);
    let unknown = Sample {
        peers: None,
        ..at(10, 10, 0)
    };
    look.see(at(10, 10, 1));
    for _ in 0..29 {
        look.see_for(10, &at(10, 10, 0));
        look.see_for(60, &unknown);
    }
    assert!(look.tracker.no_peers_for() < WINDOWS.isolated_after);
    look.see_for(20, &at(10, 10, 0));
    assert_eq!(look.verdict(), Verdict::Isolated);
}

#[test]
fn with_the_network_down_nothing_counts_and_afterwards_all_starts_anew() {
    let mut look = Look::at(Chain::Relaychain);
    look.see_for(200, &at(10, 100, 3));
    look.context.network_down = true;
    look.see_for(3600, &at(10, 10, 0));
    assert_eq!(look.verdict(), Verdict::Isolated, "reported all the same");
    assert_eq!(look.tracker.peers.isolated_for, Duration::ZERO);
    look.context.network_down = false;
    look.see_for(295, &at(10, 10, 0));
    assert_eq!(look.tracker.peers.isolated_for, Duration::from_secs(295));
    assert_eq!(look.tracker.stuck, ExcusableDuration::default());
}

#[test]
fn heights_that_are_not_told_prove_no_standstill() {
    for &chain in Chain::VARIANTS {
        let mut look = Look::at(chain);
        let blank = Sample {
            best: None,
            ..at(0, 100, 3)
        };
        look.see_for(3600, &blank);
        look.see(at(10, 100, 3));
        assert_eq!(look.verdict(), Verdict::Syncing);
        assert_eq!(look.tracker.still.as_secs(), 5);
    }
}

#[test]
fn without_a_target_there_is_no_stall_but_the_node_says_whether_it_syncs() {
    let mut look = Look::at(Chain::Parachain);
    let sample = Sample {
        target: None,
        major_syncing: Some(true),
        ..at(10, 0, 3)
    };
    look.see_for(3600, &sample);
    assert_eq!(look.verdict(), Verdict::Syncing);
}

#[test]
fn speed_and_eta_come_from_the_last_minute() {
    let mut look = Look::at(Chain::Parachain);
    for step in 0..60 {
        look.see(at(step * 50, 10_000 + step, 3));
    }
    let (rate, eta) = look.tracker.speed();
    assert!(rate.is_some_and(|r| (9.9..=10.1).contains(&r)), "{rate:?}");
    // 7,109 blocks at 10 - 0.2 a second.
    assert_eq!(eta, Some(725));
    look.see_for(120, &at(59 * 50, 10_059, 3));
    assert_eq!(look.tracker.speed(), (Some(0.0), None));
}

#[test]
fn falling_behind_needs_progress_a_growing_distance_and_ten_minutes() {
    let mut look = Look::at(Chain::Parachain);
    for best in 1..20 {
        look.see(at(best, best, 3));
    }
    let at_distance = |look: &mut Look, seconds: u64, grow: u64| {
        for step in 1..=seconds / 5 {
            let best = look.tracker.heights.best.unwrap_or_default() + 1;
            let distance = 20 + step * grow / 10;
            look.see(at(best, best + distance, 3));
        }
    };
    at_distance(&mut look, 1200, 0);
    assert!(!look.tracker.is_falling_behind(), "behind, but not further and further");
    at_distance(&mut look, 595, 5);
    assert!(look.tracker.is_falling_behind());
    // It closes in again, over the whole window.
    at_distance(&mut look, 900, 0);
    assert!(!look.tracker.is_falling_behind());
}

#[test]
fn time_in_sync_begins_with_first_such_sample_and_ends_with_deficiency() {
    let sample = |best, target, peers| Sample {
        best: Some(best),
        target: Some(target),
        peers: Some(peers),
        ..Sample::default()
    };
    let mut tracker = ChainTracker::new(Chain::Parachain);
    let mut now = Time(0);
    let mut see = |tracker: &mut ChainTracker, sample: Sample| {
        now = now + Duration::from_secs(10);
        tracker.observe(now, sample, &WINDOWS, Context::default());
        let evidence = tracker.sync_evidence(&WINDOWS);
        (
            evidence.deficiency,
            evidence.in_sync_for.as_secs(),
            evidence.target_still_for.as_secs(),
        )
    };
    assert_eq!(
        see(&mut tracker, sample(50, 100, 3)),
        (Some(SyncDeficiency::Behind(50)), 0, 0)
    );
    assert_eq!(see(&mut tracker, sample(95, 100, 3)), (None, 0, 0));
    assert_eq!(see(&mut tracker, sample(96, 100, 3)), (None, 10, 10));
    assert_eq!(see(&mut tracker, sample(97, 101, 3)), (None, 20, 0));
    assert_eq!(
        see(&mut tracker, sample(97, 101, 0)),
        (Some(SyncDeficiency::NoPeers), 0, 0)
    );
    assert_eq!(see(&mut tracker, sample(98, 102, 3)), (None, 0, 0));
    tracker.miss(Time(70_000), ScrapeError::Timeout, &WINDOWS, Context::default());
    let evidence = tracker.sync_evidence(&WINDOWS);
    assert_eq!(
        (evidence.deficiency, evidence.in_sync_for),
        (Some(SyncDeficiency::NoAnswer), Duration::ZERO)
    );
    assert_eq!(see(&mut tracker, sample(0, 0, 3)).0, Some(SyncDeficiency::NoBlock));
}
