//! Each of root's operations while the attacker renames, many rounds.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use agent_chaindata::certificate::{
    read_certificate, remove_certificate, remove_partial_certificate, verify_certificate,
};
use agent_chaindata::database_versions::read_database_versions;
use agent_chaindata::journal::is_restore_swapping;
use agent_chaindata::restore::{abandon_restore, commit_restore};
use agent_chaindata::scrub::remove_keys;
use agent_chaindata::snapshot::{Consistency, snapshot_size};
use agent_chaindata::survey::survey_data_dir;

use crate::attacker::Attacker;
use crate::support::{Bytes, Host, create, prepare, root_or_skip};

const ROUNDS: usize = 200;
/// One operation: longer is a hang, as on a pipe without a writer.
const ROUND_LIMIT: Duration = Duration::from_mins(1);
/// All rounds; what is left of them is given up, as on a machine that is busy otherwise.
const LIMIT: Duration = Duration::from_mins(2);
const FEWEST: usize = 20;

/// Does `work` again and again while `places` in the data are attacked; it may fail, but must end, and touch nothing outside.
fn attack(places: &[&str], work: impl Fn(&Host) + Send + Sync + 'static) {
    let (host, work) = (Arc::new(Host::new()), Arc::new(work));
    let mut attacker = Attacker::begin(&host, places);
    let end = Instant::now() + LIMIT;
    for round in 0..ROUNDS {
        if Instant::now() > end {
            assert!(round >= FEWEST, "only {round} rounds");
            break;
        }
        attacker.pause();
        host.reset();
        attacker.go_on();
        let (done, ended) = channel();
        let (task, data_host) = (Arc::clone(&work), Arc::clone(&host));
        let thread = thread::spawn(move || {
            task(&data_host);
            done.send(()).unwrap();
        });
        let hangs = matches!(ended.recv_timeout(ROUND_LIMIT), Err(RecvTimeoutError::Timeout));
        assert!(!hangs, "round {round} hangs");
        thread.join().unwrap();
        host.canary.assert_unchanged(&format!("round {round}"));
        assert!(attacker.is_alive());
    }
}

const CHAINS: &str = "chains";
const CHAIN: &str = "chains/t0rn";
const DATABASES: &str = "chains/t0rn/db";
const DATABASE: &str = "chains/t0rn/db/full";
const TABLE: &str = "chains/t0rn/db/full/000001.sst";
const LOG: &str = "chains/t0rn/db/full/000999.log";
const CURRENT: &str = "chains/t0rn/db/full/CURRENT";

#[test]
fn survey_and_reads_in_attacked_data_touch_nothing_outside() {
    root_or_skip!();
    let work = |host: &Host| {
        let data = host.data();
        let _ = survey_data_dir(&data, true);
        let _ = read_certificate(&data);
        let _ = read_database_versions(&data);
        let _ = verify_certificate(&data);
        is_restore_swapping(&data);
    };
    attack(&["bake.json", ".restore", TABLE, LOG], work);
    attack(&[CHAINS, CHAIN, DATABASES, DATABASE, CURRENT], work);
}

#[test]
fn scrub_of_attacked_data_removes_nothing_outside() {
    root_or_skip!();
    let work = |host: &Host| {
        let data = host.data();
        let _ = remove_partial_certificate(&data);
        let _ = remove_keys(&data);
        let _ = remove_certificate(&data);
    };
    attack(&["chains/t0rn/keystore", "chains/t0rn/network"], work);
    attack(&[CHAIN, "bake.json", "bake.json.tmp"], work);
}

#[test]
fn clean_snapshot_of_attacked_data_has_nothing_from_outside() {
    root_or_skip!();
    let work = |host: &Host| {
        let _ = snapshot_size(&host.data());
        let _ = create(&host.data(), Consistency::Clean, || ());
    };
    attack(&[TABLE], work);
    attack(&[LOG, DATABASE, ".snapshot"], work);
}

#[test]
fn live_snapshot_of_attacked_data_has_nothing_from_outside() {
    root_or_skip!();
    let work = |host: &Host| {
        let _ = create(&host.data(), Consistency::CrashConsistent, || ());
    };
    attack(&[LOG, TABLE], work);
    attack(&[".snapshot"], work);
    attack(&[CURRENT, DATABASE, DATABASES], work);
}

#[test]
fn restore_into_attacked_data_writes_nothing_outside() {
    root_or_skip!();
    let source = Arc::new(create(&Host::new().data(), Consistency::Clean, || ()).unwrap());
    let work = move |host: &Host| {
        if let Ok(prepared) = prepare(&host.data(), &Bytes(source.to_vec()), || ()) {
            let _ = commit_restore(prepared, || Ok(()));
        }
        let _ = abandon_restore(&host.data());
    };
    attack(&[".restore"], work.clone());
    attack(&[CHAINS, CHAIN, DATABASES, DATABASE], work.clone());
    attack(&[".snapshot", "bake.json", DATABASES], work);
}
