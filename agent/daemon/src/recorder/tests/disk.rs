//! Bounds, syncs and disk errors.

use super::*;

#[tokio::test]
async fn removed_folder_is_made_again() {
    let dir = tempdir().unwrap();
    let flight = dir.path().join("flight");
    let limits = RecorderLimits {
        sync: Duration::ZERO,
        ..limits(1 << 20, 1 << 16)
    };
    let recorder = Recorder::open(&flight, limits);
    recorder.event(Time(0), &sample(Chain::Parachain, 0));
    assert!(recorder.flush(WAIT).await);
    fs::remove_dir_all(&flight).unwrap();
    // It is noticed at a sync; what was written into nowhere until then is lost.
    for n in 1..=3 {
        recorder.event(Time(n), &sample(Chain::Parachain, 2 * n));
        assert!(recorder.flush(WAIT).await);
    }
    assert!(recorded(&flight).contains("1000003"));
}

#[tokio::test]
async fn full_disk_stops_recording_which_resumes_with_a_gap() {
    let dir = tempdir().unwrap();
    let first = files::path(dir.path(), 1);
    symlink("/dev/full", &first).unwrap();
    let recorder = open(&dir, limits(1 << 20, 1 << 16));
    for n in 0..10 {
        recorder.event(Time(n), &sample(Chain::Parachain, n));
    }
    assert!(recorder.flush(WAIT).await);
    assert_eq!(files::list(dir.path()).unwrap().len(), 1, "no other file is begun");
    recorder.note_incident(Some("not kept".to_owned()));
    let unsaved = recorder.unsaved();
    let why = || unsaved.borrow().why().map(str::to_owned);
    assert!(
        why().is_some_and(|why| why.contains("; free space on the disk of agent.state_dir")),
        "{:?}",
        why()
    );
    fs::remove_file(&first).unwrap();
    recorder.event(Time(10), &sample(Chain::Parachain, 10));
    recorder.event(Time(11), &sample(Chain::Parachain, 11));
    assert!(recorder.flush(WAIT).await);
    assert_eq!(why(), None, "the incident's disk is the same");
    recorder.note_incident(Some("not kept".to_owned()));
    recorder.event(Time(12), &sample(Chain::Parachain, 12));
    assert!(recorder.flush(WAIT).await);
    assert_eq!(why().as_deref(), Some("not kept"), "that disk takes lines");
    recorder.note_incident(None);
    assert_eq!(why(), None);
    let events = events(&recorded(dir.path()));
    assert_eq!(
        events[0],
        (Time(10), Event::Gap),
        "a replay must not take the hole for silence"
    );
    assert_eq!(events.len(), 4);
}

#[test]
fn no_write_is_tried_before_the_retry_interval() {
    let dir = tempdir().unwrap();
    let flight = dir.path().join("flight");
    // Every line begins a file of its own.
    let mut writer = TraceWriter::new(
        flight.clone(),
        RecorderLimits {
            file: 1,
            ..RecorderLimits::default()
        },
        watch::Sender::default(),
    );
    let line = |n| {
        let mut text = Vec::new();
        trace::write_line(&mut text, Time(n), &sample(Chain::Parachain, n)).unwrap();
        RecordedLine {
            time: Time(n),
            text,
            gap: false,
            anchor: false,
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
    let mut writer = TraceWriter::new(
        dir.path().to_owned(),
        RecorderLimits::default(),
        watch::Sender::default(),
    );
    let line = RecordedLine {
        time: Time(1),
        text: b"{\"t\":0.001,\"event\":\"gap\"}\n".to_vec(),
        gap: false,
        anchor: false,
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
fn week_of_two_chains_at_5_s_fits_many_times() {
    let dir = tempdir().unwrap();
    let mut writer = TraceWriter::new(
        dir.path().to_owned(),
        limits(64 << 20, 1 << 18),
        watch::Sender::default(),
    );
    let six_hours = 6 * 3600 / 5;
    // The first line marks the time before the recording.
    let mut written = 1;
    for n in 0..six_hours {
        let time = Time(n * 5000);
        let mut all = vec![
            sample(Chain::Parachain, n),
            sample(Chain::Relaychain, n * 3),
            Event::Activity(Activity {
                cpu_percent: Some(f64::from(u32::try_from(n * 7919 % 10_000).unwrap()) / 100.0),
                block_read_bytes: Some(n * 4096),
                block_write_bytes: None,
            }),
        ];
        if n % 12 == 0 {
            all.push(Event::Host(HostFacts {
                disk_free_bytes: Some((64 << 30) - n * 104_729),
                disk_total_bytes: Some(100 << 30),
                memory_full_percent: Some(0.5),
                io_full_percent: None,
                load1: Some(0.25),
                ..HostFacts::default()
            }));
        }
        for event in all {
            let mut text = Vec::new();
            trace::write_line(&mut text, time, &event).unwrap();
            writer.write(
                Instant::now(),
                &RecordedLine {
                    time,
                    text,
                    gap: false,
                    anchor: false,
                },
            );
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

#[tokio::test]
async fn recording_keeps_the_newest_within_its_bound() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "not ours").unwrap();
    let recorder = open(&dir, limits(40_000, 4_000));
    let mut most = 0;
    for n in 0..4000 {
        recorder.event(Time(n * 5000), &sample(Chain::Parachain, n * 7919));
        if n % 50 == 0 {
            assert!(recorder.flush(WAIT).await);
            most = most.max(size(dir.path()));
        }
    }
    assert!(recorder.flush(WAIT).await);
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
