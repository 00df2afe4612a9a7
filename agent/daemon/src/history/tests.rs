#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::fs;

use agent_core::event::{Chain, Sample};
use agent_core::history::MarkKind;
use agent_core::trace::{write_action, write_clock, write_line};
use tempfile::tempdir;

use super::*;

/// 2026-11-22T22:50:00Z, Unix milliseconds: the beginning of no slot.
const NOW: i64 = 1_795_387_800_000;
const MINUTE: i64 = 60_000;
const WEEK: i64 = HistoryRange::Week.length_ms();
const SLOT_MS: i64 = HistoryRange::Week.slot_ms();

fn sample(chain: Chain, best: u64, target: u64) -> Event {
    Event::Sample {
        chain,
        sample: Sample {
            best: Some(best),
            target: Some(target),
            ..Sample::default()
        },
    }
}

fn marks(history: &History) -> Vec<(MarkKind, Option<i64>, Option<bool>)> {
    let view = history.view(HistoryRange::Week, NOW);
    view.marks.iter().map(|m| (m.what, m.code, m.helped)).collect()
}

/// A week's recording: the agent's clock began an hour before it, and begins anew in its middle.
fn record(dir: &std::path::Path) {
    let mut old = Vec::new();
    write_clock(&mut old, Time(0), NOW - 2 * WEEK).unwrap();
    write_line(&mut old, Time(1), &sample(Chain::Parachain, 1, 1)).unwrap();
    let mut first = Vec::new();
    write_clock(&mut first, Time(7_000), NOW - WEEK - MINUTE).unwrap();
    write_line(&mut first, Time(8_000), &sample(Chain::Parachain, 2, 2)).unwrap();
    let hour = Time(8_000 + 3_600_000);
    write_line(&mut first, hour, &sample(Chain::Parachain, 100, 200)).unwrap();
    write_action(&mut first, hour, "restart", "stalled", None).unwrap();
    write_action(&mut first, hour, "judged", "stalled", Some(true)).unwrap();
    let mut second = Vec::new();
    write_clock(&mut second, Time(5), NOW - SLOT_MS).unwrap();
    write_line(&mut second, Time(6), &sample(Chain::Parachain, 300, 300)).unwrap();
    write_line(
        &mut second,
        Time(5 + 2 * 1_800_000),
        &sample(Chain::Parachain, 999, 999),
    )
    .unwrap();
    second.extend_from_slice(b"{\"t\": 9, \"event\": \"sam");
    fs::write(dir.join("flight-00000001.jsonl"), old).unwrap();
    fs::write(dir.join("flight-00000002.jsonl.gz"), gz(&first)).unwrap();
    fs::write(dir.join("flight-00000003.jsonl"), second).unwrap();
}

fn gz(text: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn recording_of_an_earlier_run_is_read_back() {
    let dir = tempdir().unwrap();
    record(dir.path());
    let history = SharedHistory::default();
    history.read_back(dir.path(), NOW).await.unwrap();
    let history = history.lock();
    let view = history.view(HistoryRange::Week, NOW);
    let best = &view.chains[&Chain::Parachain].best;
    let known: Vec<_> = best.iter().flatten().copied().collect();
    assert_eq!(
        known,
        [100, 200],
        "heights 100 and 300, from a week ago up to the start of this life"
    );
    assert_eq!(best[best.len() - 2], Some(200));
    assert_eq!(marks(&history), [(MarkKind::Restart, None, Some(true))]);
}

#[tokio::test]
async fn damaged_recording_loses_only_its_damaged_part() {
    let dir = tempdir().unwrap();
    record(dir.path());
    let packed = dir.path().join("flight-00000002.jsonl.gz");
    let mut torn = fs::read(&packed).unwrap();
    torn.truncate(12);
    fs::write(&packed, torn).unwrap();
    let history = SharedHistory::default();
    history.read_back(dir.path(), NOW).await.unwrap();
    history.read_back(&dir.path().join("not there"), NOW).await.unwrap();
    let view = history.lock().view(HistoryRange::Week, NOW);
    let best = &view.chains[&Chain::Parachain].best;
    assert_eq!(best.iter().flatten().copied().collect::<Vec<_>>(), [300]);
}
