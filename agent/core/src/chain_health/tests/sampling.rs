//! The time between two samples: how it is counted, and when it is not.

use super::*;

#[test]
fn a_stall_is_seen_at_any_spacing_of_the_looks() {
    for spacing in [1, 5, 15, 30, 60, 75] {
        let mut look = Look::at(Chain::Parachain);
        look.spacing = spacing;
        look.see(at(10, 100, 3));
        let mut seconds = 0;
        while look.verdict() != Verdict::Stalled {
            look.see(at(10, 100, 3));
            seconds += spacing;
            assert!(seconds <= 300 + spacing, "every {spacing} s");
        }
        assert!(seconds >= 300, "every {spacing} s");
    }
}

#[test]
fn looks_too_far_apart_are_no_watch() {
    let mut look = Look::at(Chain::Parachain);
    look.spacing = 76;
    look.see_for(76 * 1000, &at(10, 100, 3));
    look.see_for(76 * 1000, &at(10, 10, 0));
    assert_eq!(look.tracker.stuck, ExcusableDuration::default());
    assert_eq!(look.tracker.no_peers_for(), Duration::ZERO);
}

#[test]
fn a_stall_is_seen_through_scrapes_that_mostly_fail() {
    let mut look = Look::at(Chain::Parachain);
    look.see(at(10, 100, 3));
    let mut seconds = 0;
    while look.verdict() != Verdict::Stalled {
        for _ in 0..10 {
            look.miss(ScrapeError::Timeout);
        }
        look.see(at(10, 100, 3));
        seconds += 55;
        assert!(seconds <= 355);
    }
    assert!(seconds >= 300);
}

#[test]
fn one_answer_after_a_long_silence_proves_little() {
    let mut look = Look::at(Chain::Parachain);
    look.see(at(10, 100, 3));
    for _ in 0..720 {
        look.miss(ScrapeError::Refused);
    }
    look.see(at(10, 100, 3));
    assert_eq!(look.tracker.stuck.total(), Duration::from_secs(150));
}

#[test]
fn silence_is_counted_from_the_first_look_that_met_it() {
    let mut look = Look::at(Chain::Parachain);
    look.see(at(10, 10, 3));
    for seconds in [0, 5, 10] {
        look.miss(ScrapeError::Timeout);
        assert_eq!(
            look.tracker.silent.map(ExcusableDuration::total),
            Some(Duration::from_secs(seconds))
        );
    }
    look.miss(ScrapeError::HttpStatus);
    assert_eq!(look.tracker.silent, None);
    assert_eq!(look.tracker.unanswered, Duration::from_secs(20));
    look.see(at(10, 10, 3));
    assert_eq!(look.tracker.unanswered, Duration::ZERO);
}

#[test]
fn an_old_sample_says_nothing_about_now() {
    let mut look = Look::at(Chain::Parachain);
    look.see_for(65, &at(10, 10, 3));
    look.see(at(11, 11, 3));
    assert_eq!(look.verdict(), Verdict::Synced);
    look.now.0 += 15_001;
    assert_eq!(look.verdict(), Verdict::Unknown);
}

#[test]
fn rare_looks_do_not_make_a_sample_old() {
    let mut look = Look::at(Chain::Parachain);
    look.spacing = 25;
    look.see_for(75, &at(10, 10, 3));
    look.see(at(11, 11, 3));
    look.now.0 += 40_000;
    assert_eq!(look.verdict(), Verdict::Synced);
}

#[test]
fn a_late_look_without_an_answer_makes_no_old_sample_fresh() {
    let mut look = Look::at(Chain::Parachain);
    look.spacing = 1;
    look.see(at(10, 100, 3));
    look.see(at(11, 100, 3));
    look.miss(ScrapeError::Timeout);
    assert_eq!(look.verdict(), Verdict::Syncing);
    look.spacing = 15;
    look.miss(ScrapeError::Timeout);
    assert_eq!(look.verdict(), Verdict::Unknown);
    look.see(at(12, 100, 3));
    assert_eq!(look.verdict(), Verdict::Syncing);
}

#[test]
fn time_offline_is_not_isolation_though_the_answer_comes_afterwards() {
    let mut look = Look::at(Chain::Relaychain);
    look.see(at(10, 10, 0));
    look.context.network_down = true;
    for _ in 0..6 {
        look.miss(ScrapeError::Timeout);
    }
    look.context.network_down = false;
    look.see(at(10, 10, 0));
    assert_eq!(look.tracker.peers.isolated_for, Duration::from_secs(5));
}
