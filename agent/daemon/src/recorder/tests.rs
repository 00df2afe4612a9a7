#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod disk;
mod tail;

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use tempfile::{TempDir, tempdir};

use super::*;
use agent_core::event::{Activity, Chain, DesiredSpec, Exit, HostFacts, Sample};
use agent_core::machine::Cause;
use agent_core::trace::{Record, parse_line};

const WAIT: Duration = Duration::from_secs(20);

fn limits(total: u64, file: u64) -> RecorderLimits {
    RecorderLimits {
        total,
        file,
        retry: Duration::ZERO,
        ..RecorderLimits::default()
    }
}

fn open(dir: &TempDir, limits: RecorderLimits) -> Recorder {
    Recorder::open(dir.path(), limits)
}

fn sample(chain: Chain, n: u64) -> Event {
    Event::Sample {
        chain,
        sample: Sample {
            best: Some(1_000_000 + n / 2),
            finalized: Some(999_990 + n / 2 - n % 7),
            target: Some(1_000_003 + n / 2),
            peers: Some(12 + n % 5),
            major_syncing: Some(n.is_multiple_of(97)),
            imported_total: Some(12_345 + n / 2),
            bytes_in: Some(3_000_000_000 + n * 104_729 % 65_536 + n * 40_000),
            built_total: None,
            process_start: Some(1_795_388_136),
        },
    }
}

/// All files in the order of their numbers, unpacked.
fn recorded(dir: &Path) -> String {
    let mut all = String::new();
    for file in files::list(dir).unwrap() {
        let bytes = fs::read(&file.path).unwrap();
        if file.packed {
            GzDecoder::new(bytes.as_slice()).read_to_string(&mut all).unwrap();
        } else {
            all.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
    all
}

fn events(text: &str) -> Vec<(Time, Event)> {
    let parsed = text.lines().map(|line| parse_line(line.as_bytes()).unwrap());
    parsed
        .filter_map(|(time, record)| {
            if let Record::Event(event) = record {
                Some((time, event))
            } else {
                None
            }
        })
        .collect()
}

fn size(dir: &Path) -> u64 {
    fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().metadata().unwrap().len())
        .sum()
}

#[tokio::test]
async fn every_event_and_action_is_kept_in_order_with_the_wall_clock() {
    let dir = tempdir().unwrap();
    let recorder = open(&dir, RecorderLimits::default());
    for n in 0..100 {
        recorder.event(Time(n * 5000), &sample(Chain::Parachain, n));
        recorder.event(Time(n * 5000), &Event::Tick);
    }
    let cause = Cause::Stalled;
    recorder.action(
        Time(500_000),
        &Action::Restart {
            cause,
            spec: DesiredSpec::default(),
        },
    );
    assert!(recorder.flush(WAIT).await);
    let text = recorded(dir.path());
    let expected: Vec<_> = (0..100)
        .map(|n| (Time(n * 5000), sample(Chain::Parachain, n)))
        .collect();
    let events = events(&text);
    assert_eq!(events[0], (Time(0), Event::Gap), "nothing was recorded until then");
    assert_eq!(events[1..], expected);
    assert!(
        text.starts_with("{\"t\":0.0,\"event\":\"clock\",\"unix_ms\":"),
        "{text}"
    );
    assert!(text.ends_with("{\"t\":500.0,\"event\":\"action\",\"action\":\"restart\",\"cause\":\"stalled\"}\n"));
}

#[tokio::test]
async fn new_agent_appends_to_the_last_file() {
    let dir = tempdir().unwrap();
    for n in 0..3 {
        let recorder = open(&dir, RecorderLimits::default());
        recorder.event(Time(n), &Event::Gap);
        assert!(recorder.flush(WAIT).await);
    }
    let text = recorded(dir.path());
    assert_eq!(
        events(&text),
        [(Time(0), Event::Gap), (Time(1), Event::Gap), (Time(2), Event::Gap)]
    );
    assert_eq!(text.matches("clock").count(), 3, "each begins with the wall clock");
    assert_eq!(files::list(dir.path()).unwrap().len(), 1);
}

#[tokio::test]
async fn torn_last_line_is_removed_and_recording_continues() {
    let dir = tempdir().unwrap();
    for torn in ["{\"t\":1.0,\"ev", "\0\0\0\0\0\0\0\0", &"x".repeat(10_000)] {
        let file = files::path(dir.path(), 1);
        fs::write(&file, format!("{{\"t\":0.5,\"event\":\"gap\"}}\n{torn}")).unwrap();
        let recorder = open(&dir, RecorderLimits::default());
        recorder.event(Time(2000), &Event::Gap);
        assert!(recorder.flush(WAIT).await);
        assert_eq!(
            events(&recorded(dir.path())),
            [(Time(500), Event::Gap), (Time(2000), Event::Gap)]
        );
    }
}

#[tokio::test]
async fn half_packed_files_of_an_earlier_run_are_repaired() {
    let dir = tempdir().unwrap();
    let line = "{\"t\":1.0,\"event\":\"gap\"}\n";
    for number in 1..=3 {
        fs::write(files::path(dir.path(), number), line).unwrap();
    }
    fs::write(dir.path().join("flight-00000009.jsonl.gz.tmp"), "half").unwrap();
    // Killed after packing, before the plain file was removed.
    files::tidy(dir.path(), 3, u64::MAX).unwrap();
    fs::write(files::path(dir.path(), 2), line).unwrap();
    let recorder = open(&dir, RecorderLimits::default());
    recorder.event(Time(2000), &Event::Gap);
    assert!(recorder.flush(WAIT).await);
    let names: Vec<(u64, bool)> = files::list(dir.path())
        .unwrap()
        .iter()
        .map(|f| (f.number, f.packed))
        .collect();
    assert_eq!(names, [(1, true), (2, true), (3, false)]);
    assert_eq!(events(&recorded(dir.path())).len(), 4);
    assert!(!dir.path().join("flight-00000009.jsonl.gz.tmp").exists());
}

#[tokio::test]
async fn last_log_lines_of_a_container_fit_into_one_line() {
    let dir = tempdir().unwrap();
    let recorder = open(&dir, RecorderLimits::default());
    let exited = |log: Vec<String>| {
        Event::Container(Container::Exited {
            at: None,
            exit: Exit { log, ..Exit::default() },
            spec_matches: true,
        })
    };
    let mut log: Vec<String> = (0..5000).map(|n| format!("line {n} \u{1}")).collect();
    log.push("\u{7}".repeat(10 << 20));
    recorder.event(Time(1), &exited(log));
    recorder.event(
        Time(2),
        &Event::Finished(Outcome::Failed {
            error: "é".repeat(1 << 20),
            kind: agent_core::event::ActionFailure::Other,
        }),
    );
    recorder.event(Time(3), &exited(vec!["short".into()]));
    assert!(recorder.flush(WAIT).await);
    let text = recorded(dir.path());
    assert!(text.lines().all(|line| line.len() <= LINE_MAX));
    let events = &events(&text)[1..];
    let (_, Event::Container(Container::Exited { exit, .. })) = &events[0] else {
        panic!("no exit comes first")
    };
    assert!((100..1500).contains(&exit.log.len()) && exit.log.last().unwrap().len() == LOG_MAX / 4);
    assert_eq!(exit.log[exit.log.len() - 2], "line 4999 \u{1}");
    assert_eq!(events[2], (Time(3), exited(vec!["short".into()])));
}
