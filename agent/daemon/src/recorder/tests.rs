#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

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

fn limits(total: u64, file: u64) -> Limits {
    Limits {
        total,
        file,
        retry: Duration::ZERO,
        ..Limits::default()
    }
}

fn open(dir: &TempDir, limits: Limits) -> Recorder {
    Recorder::open(dir.path(), limits).unwrap()
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

#[test]
fn every_event_and_action_is_kept_in_order_with_the_wall_clock() {
    let dir = tempdir().unwrap();
    let recorder = open(&dir, Limits::default());
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
    assert!(recorder.flush(WAIT));
    let text = recorded(dir.path());
    let expected: Vec<_> = (0..100)
        .map(|n| (Time(n * 5000), sample(Chain::Parachain, n)))
        .collect();
    let events = events(&text);
    assert_eq!(events[0], (Time(0), Event::Gap), "nobody watched until then");
    assert_eq!(events[1..], expected);
    assert!(
        text.starts_with("{\"t\":0.0,\"event\":\"clock\",\"unix_ms\":"),
        "{text}"
    );
    assert!(text.ends_with("{\"t\":500.0,\"event\":\"action\",\"action\":\"restart\",\"cause\":\"stalled\"}\n"));
}

#[test]
fn a_new_agent_goes_on_where_the_last_one_stopped() {
    let dir = tempdir().unwrap();
    for n in 0..3 {
        let recorder = open(&dir, Limits::default());
        recorder.event(Time(n), &Event::Gap);
    }
    let text = recorded(dir.path());
    assert_eq!(
        events(&text),
        [(Time(0), Event::Gap), (Time(1), Event::Gap), (Time(2), Event::Gap)]
    );
    assert_eq!(text.matches("clock").count(), 3, "each begins with the wall clock");
    assert_eq!(files::list(dir.path()).unwrap().len(), 1);
}

#[test]
fn a_folder_that_is_removed_is_made_anew() {
    let dir = tempdir().unwrap();
    let flight = dir.path().join("flight");
    let limits = Limits {
        sync: Duration::ZERO,
        ..limits(1 << 20, 1 << 16)
    };
    let recorder = Recorder::open(&flight, limits).unwrap();
    recorder.event(Time(0), &sample(Chain::Parachain, 0));
    assert!(recorder.flush(WAIT));
    fs::remove_dir_all(&flight).unwrap();
    // It is noticed at a sync; what was written into nowhere until then is lost.
    for n in 1..=3 {
        recorder.event(Time(n), &sample(Chain::Parachain, 2 * n));
        assert!(recorder.flush(WAIT));
    }
    assert!(recorded(&flight).contains("1000003"));
}

#[test]
fn a_torn_last_line_is_cut_off_and_recording_goes_on() {
    let dir = tempdir().unwrap();
    for torn in ["{\"t\":1.0,\"ev", "\0\0\0\0\0\0\0\0", &"x".repeat(10_000)] {
        let file = files::path(dir.path(), 1);
        fs::write(&file, format!("{{\"t\":0.5,\"event\":\"gap\"}}\n{torn}")).unwrap();
        let recorder = open(&dir, Limits::default());
        recorder.event(Time(2000), &Event::Gap);
        assert!(recorder.flush(WAIT));
        assert_eq!(
            events(&recorded(dir.path())),
            [(Time(500), Event::Gap), (Time(2000), Event::Gap)]
        );
    }
}

#[test]
fn what_is_kept_never_passes_the_bound_and_is_the_newest() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "not ours").unwrap();
    let recorder = open(&dir, limits(40_000, 4_000));
    let mut most = 0;
    for n in 0..4000 {
        recorder.event(Time(n * 5000), &sample(Chain::Parachain, n * 7919));
        if n % 50 == 0 {
            assert!(recorder.flush(WAIT));
            most = most.max(size(dir.path()));
        }
    }
    assert!(recorder.flush(WAIT));
    assert!((20_000..=40_000).contains(&most), "{most}");
    let times: Vec<Time> = events(&recorded(dir.path())).iter().map(|(time, _)| *time).collect();
    assert!(times.len() > 200, "{}", times.len());
    assert_eq!(times.last(), Some(&Time(3999 * 5000)));
    assert!(
        times.windows(2).all(|pair| pair[1].0 - pair[0].0 == 5000),
        "no line between the oldest and the newest is missing"
    );
    assert!(dir.path().join("notes.txt").exists());
}

#[test]
fn half_packed_files_of_an_earlier_run_are_put_in_order() {
    let dir = tempdir().unwrap();
    let line = "{\"t\":1.0,\"event\":\"gap\"}\n";
    for number in 1..=3 {
        fs::write(files::path(dir.path(), number), line).unwrap();
    }
    fs::write(dir.path().join("flight-00000009.jsonl.gz.tmp"), "half").unwrap();
    // Killed after packing, before the plain file was removed.
    files::tidy(dir.path(), 3, u64::MAX).unwrap();
    fs::write(files::path(dir.path(), 2), line).unwrap();
    let recorder = open(&dir, Limits::default());
    recorder.event(Time(2000), &Event::Gap);
    assert!(recorder.flush(WAIT));
    let names: Vec<(u64, bool)> = files::list(dir.path())
        .unwrap()
        .iter()
        .map(|f| (f.number, f.packed))
        .collect();
    assert_eq!(names, [(1, true), (2, true), (3, false)]);
    assert_eq!(events(&recorded(dir.path())).len(), 4);
    assert!(!dir.path().join("flight-00000009.jsonl.gz.tmp").exists());
}

#[test]
fn a_full_disk_stops_it_without_growing_and_it_goes_on_with_a_gap() {
    let dir = tempdir().unwrap();
    let first = files::path(dir.path(), 1);
    symlink("/dev/full", &first).unwrap();
    let recorder = open(&dir, limits(1 << 20, 1 << 16));
    for n in 0..10 {
        recorder.event(Time(n), &sample(Chain::Parachain, n));
    }
    assert!(recorder.flush(WAIT));
    assert_eq!(files::list(dir.path()).unwrap().len(), 1, "no other file is begun");
    fs::remove_file(&first).unwrap();
    recorder.event(Time(10), &sample(Chain::Parachain, 10));
    recorder.event(Time(11), &sample(Chain::Parachain, 11));
    assert!(recorder.flush(WAIT));
    let events = events(&recorded(dir.path()));
    assert_eq!(
        events[0],
        (Time(10), Event::Gap),
        "a replay must not take the hole for silence"
    );
    assert_eq!(events.len(), 3);
}

#[test]
fn between_two_tries_the_disk_is_left_alone() {
    let dir = tempdir().unwrap();
    let flight = dir.path().join("flight");
    // Every line begins a file of its own.
    let mut writer = Writer::new(
        flight.clone(),
        Limits {
            file: 1,
            ..Limits::default()
        },
    );
    let line = |n| {
        let mut text = Vec::new();
        trace::write_line(&mut text, Time(n), &sample(Chain::Parachain, n)).unwrap();
        Line {
            time: Time(n),
            text,
            gap: false,
        }
    };
    let now = Instant::now();
    writer.write(now, &line(1));
    fs::remove_dir_all(&flight).unwrap();
    fs::write(&flight, "in the way").unwrap();
    writer.write(now, &line(2));
    fs::remove_file(&flight).unwrap();
    writer.write(now + Duration::from_secs(59), &line(3));
    assert!(!flight.exists());
    writer.write(now + Duration::from_mins(1), &line(4));
    assert_eq!(
        events(&recorded(&flight)),
        [(Time(4), Event::Gap), (Time(4), sample(Chain::Parachain, 4))]
    );
}

#[test]
fn no_line_waits_for_the_disk_longer_than_a_minute() {
    let dir = tempdir().unwrap();
    let mut writer = Writer::new(dir.path().to_owned(), Limits::default());
    let line = Line {
        time: Time(1),
        text: b"{\"t\":0.001,\"event\":\"gap\"}\n".to_vec(),
        gap: false,
    };
    let now = Instant::now();
    assert_eq!(writer.sync_in(now), None, "nothing to sync");
    writer.write(now, &line);
    writer.write(now + Duration::from_secs(20), &line);
    let due = writer.sync_in(now + Duration::from_secs(20)).unwrap();
    assert_eq!(due, Duration::from_secs(10), "counted from the oldest line");
    writer.sync(now + Duration::from_secs(30));
    assert_eq!(writer.sync_in(now), None);
}

#[test]
fn a_week_of_two_chains_at_5_s_fits_many_times() {
    let dir = tempdir().unwrap();
    let mut writer = Writer::new(dir.path().to_owned(), limits(64 << 20, 1 << 18));
    let six_hours = 6 * 3600 / 5;
    // The first line says that nobody watched until then.
    let mut written = 1;
    for n in 0..six_hours {
        let time = Time(n * 5000);
        let mut all = vec![
            sample(Chain::Parachain, n),
            sample(Chain::Relaychain, n * 3),
            Event::Activity(Activity {
                cpu_percent: Some(f64::from(u32::try_from(n * 7919 % 10_000).unwrap()) / 100.0),
                block_read_bytes: Some(n * 4096),
            }),
        ];
        if n % 12 == 0 {
            all.push(Event::Host(HostFacts {
                disk_free_bytes: Some((64 << 30) - n * 104_729),
                disk_total_bytes: Some(100 << 30),
                memory_full_percent: Some(0.5),
                load1: Some(0.25),
                ..HostFacts::default()
            }));
        }
        for event in all {
            let mut text = Vec::new();
            trace::write_line(&mut text, time, &event).unwrap();
            writer.write(Instant::now(), &Line { time, text, gap: false });
            written += 1;
        }
    }
    let week = size(dir.path()) * 4 * 7;
    assert!(
        files::list(dir.path()).unwrap().len() > 3,
        "most of it is packed, as it will be"
    );
    assert!(week < 32 << 20, "a week takes {} MiB of 64", week >> 20);
    assert_eq!(events(&recorded(dir.path())).len(), written, "no line is lost");
}

#[test]
fn the_tail_spans_files_and_stops_at_its_time() {
    let dir = tempdir().unwrap();
    let recorder = open(&dir, limits(1 << 20, 4000));
    for n in 0..200 {
        recorder.event(Time(n * 1000), &sample(Chain::Relaychain, n));
        assert!(n % 50 != 0 || recorder.flush(WAIT));
    }
    assert!(recorder.flush(WAIT));
    assert!(files::list(dir.path()).unwrap().len() > 5);
    let text = String::from_utf8(tail(dir.path(), Time(120_000)).unwrap()).unwrap();
    let expected: Vec<_> = (120..200)
        .map(|n| (Time(n * 1000), sample(Chain::Relaychain, n)))
        .collect();
    assert_eq!(events(&text), expected);
    assert!(tail(dir.path(), Time(1_000_000)).unwrap().is_empty());
    assert!(tail(&PathBuf::from("/nowhere"), Time(0)).is_err());
}

#[test]
fn the_tail_leaves_out_damage_and_times_of_an_earlier_clock() {
    let dir = tempdir().unwrap();
    let gap = |t: u64| format!("{{\"t\":{t},\"event\":\"gap\"}}\n");
    fs::write(dir.path().join("flight-00000001.jsonl.gz"), b"\x1f\x8b broken").unwrap();
    fs::write(files::path(dir.path(), 2), gap(5000) + &gap(6000)).unwrap();
    fs::write(
        files::path(dir.path(), 3),
        "\0\0\n".to_owned() + &gap(7) + "garbage\n" + &gap(8) + "{\"t\":9,\"ev",
    )
    .unwrap();
    assert_eq!(
        String::from_utf8(tail(dir.path(), Time(0)).unwrap()).unwrap(),
        gap(7) + &gap(8)
    );
}

#[test]
fn the_last_words_of_a_container_fit_into_a_line() {
    let dir = tempdir().unwrap();
    let recorder = open(&dir, Limits::default());
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
    assert!(recorder.flush(WAIT));
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
