//! What weak evidence of activity is worth, and for how long.

use super::*;

#[test]
fn traffic_before_the_last_progress_has_borne_its_fruit() {
    let mut look = Look::at(Chain::Parachain);
    let sample = |best, bytes_in| Sample {
        major_syncing: Some(true),
        bytes_in: Some(bytes_in),
        ..at(best, 10_000, 3)
    };
    let mut bytes = 0;
    for best in 0..100 {
        bytes += 10 << 20;
        look.see(sample(best, bytes));
    }
    let still = sample(99, bytes);
    look.see_for(295, &still);
    assert_eq!(look.verdict(), Verdict::Syncing);
    look.see_for(5, &still);
    assert_eq!(look.verdict(), Verdict::Stalled);
}

#[test]
fn bursts_that_average_below_the_threshold_are_no_work() {
    let mut look = Look::at(Chain::Parachain);
    let mut bytes = 0;
    for round in 0..70 {
        // 65 KiB/s for ten of every thirty seconds.
        bytes += if round % 6 < 2 { 5 * (65 << 10) } else { 5 * (3 << 10) };
        look.see(Sample {
            major_syncing: Some(true),
            bytes_in: Some(bytes),
            ..at(0, 10_000 + round, 1)
        });
    }
    assert_eq!(look.verdict(), Verdict::Stalled);
}

#[test]
fn excused_time_counts_towards_the_longest_patience_only() {
    let fills = |lasting: ExcusableDuration| {
        let (lasted, window) = lasting.effective(WINDOWS.stall_after, 3);
        lasted >= window
    };
    let mut lasting = ExcusableDuration::default();
    lasting.count(Duration::from_secs(899), true);
    assert!(!fills(lasting));
    lasting.count(Duration::from_secs(1), true);
    assert!(fills(lasting));

    let mut lasting = ExcusableDuration::default();
    lasting.count(Duration::from_secs(500), true);
    lasting.count(Duration::from_secs(299), false);
    assert!(!fills(lasting));
    lasting.count(Duration::from_secs(1), false);
    assert!(fills(lasting));
    assert_eq!(lasting.effective(WINDOWS.stall_after, 3).1, WINDOWS.stall_after);
}
