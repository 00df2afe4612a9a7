//! What lasts for a moment only.

use super::*;

#[test]
fn a_page_that_shows_zero_for_a_moment_is_no_new_database() {
    let mut look = Look::at(Chain::Parachain);
    look.see(at(1000, 2000, 3));
    for _ in 0..30 {
        look.see(at(0, 2000, 3));
        assert!(!look.see(at(1000, 2000, 3)), "the old height is no progress");
    }
    assert_eq!(look.verdict(), Verdict::Stalled);
}

#[test]
fn a_network_that_fails_for_a_moment_starts_nothing_anew() {
    let mut look = Look::at(Chain::Parachain);
    look.see(at(10, 10, 0));
    for _ in 0..3 {
        look.see_for(100, &at(10, 10, 0));
        look.context.network_down = true;
        look.see_for(60, &at(10, 10, 0));
        look.context.network_down = false;
    }
    assert_eq!(look.tracker.peers.isolated_for, Duration::from_mins(5));
}

#[test]
fn a_network_that_comes_and_goes_is_none() {
    let mut look = Look::at(Chain::Parachain);
    look.see(at(10, 10, 0));
    for _ in 0..20 {
        look.context.network_down = !look.context.network_down;
        look.see_for(60, &at(10, 10, 0));
        assert!(look.tracker.peers.isolated_for < WINDOWS.isolated_after);
    }
}

#[test]
fn peers_are_steady_after_a_while_with_them_and_few_losses() {
    let (few, many) = (Duration::from_secs(30), Duration::from_secs(90));
    let mut look = Look::at(Chain::Parachain);
    look.see(at(10, 10, 3));
    look.see_for(60, &at(10, 10, 3));
    let peers = &look.tracker.peers;
    assert!(peers.is_steady_for(few) && !peers.is_steady_for(many));
    for _ in 0..3 {
        look.see_for(10, &at(10, 10, 0));
        look.see_for(60, &at(10, 10, 3));
    }
    let peers = &look.tracker.peers;
    assert!(peers.is_unsteady() && !peers.is_steady_for(few));
}

#[test]
fn a_peer_that_comes_and_goes_is_no_company() {
    let mut look = Look::at(Chain::Parachain);
    look.see(at(10, 10, 0));
    for _ in 0..3 {
        look.see_for(100, &at(10, 10, 0));
        look.see(at(10, 100, 1));
    }
    look.see(at(10, 10, 0));
    assert_eq!(look.verdict(), Verdict::Isolated);
    look.see_for(80, &at(10, 100, 1));
    assert_eq!(look.tracker.no_peers_for(), Duration::ZERO);
}

#[test]
fn a_relay_chain_that_lags_for_a_moment_excuses_only_that_moment() {
    let lagging = |seconds| {
        let mut look = Look::at(Chain::Parachain);
        look.see(at(10, 100, 3));
        for _ in 0..2 {
            look.see_for(140, &at(10, 100, 3));
            look.context.relay_syncing = true;
            look.see_for(seconds, &at(10, 100, 3));
            look.context.relay_syncing = false;
        }
        look.see_for(20, &at(10, 100, 3));
        look.verdict()
    };
    assert_eq!(lagging(30), Verdict::Stalled);
    assert_eq!(
        lagging(100),
        Verdict::Syncing,
        "after a long wait it gets a whole window"
    );
}
