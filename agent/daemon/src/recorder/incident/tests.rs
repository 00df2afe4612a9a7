#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use serde_json::json;
use tempfile::tempdir;

use super::*;

const AT: i64 = 1_795_387_800_000; // 2026-11-22T22:50:00Z

fn bundle(unix_ms: i64) -> IncidentBundle {
    IncidentBundle {
        id: String::new(),
        unix_ms,
        cause: "stalled".into(),
        action: "restart".into(),
        evidence: vec!["parachain best 1000 for 5m, target 2000".into()],
        flight: b"{\"t\":1.0,\"event\":\"gap\"}\n".to_vec(),
        log: vec!["Idle (0 peers)".into(), "telemetry https://joe:hunter22@host/x".into()],
        inspect: Some(
            json!({"Config": {"Env": ["DB_PASSWORD=hunter22"], "Cmd": ["--node-key", "hunter22"]}}).to_string(),
        ),
        parachain: Some(b"substrate_block_height{status=\"best\"} 1000\n".to_vec()),
        relaychain: None,
        host: Some(json!({"disk_free_bytes": 5, "note": "calls https://example.org/in with open-sesame"})),
        status: Some(json!({"health": "critical", "summary": "open-sesame"})),
        secrets: vec!["open-sesame".into()],
    }
}

/// Writes a bundle under the next id that is free in `dir`.
fn write(dir: &Path, bundle: &IncidentBundle) -> Result<String, IncidentError> {
    let (mut ids, mut bundle) = (IncidentIds::default(), bundle.clone());
    loop {
        bundle.id = ids.next(bundle.unix_ms, &bundle.cause);
        if !dir.join(&bundle.id).exists() {
            break;
        }
    }
    super::write(dir, &bundle)?;
    Ok(bundle.id)
}

/// Those that can be read.
fn kept(dir: &Path) -> Vec<Incident> {
    list(dir).unwrap().into_iter().flatten().collect()
}

#[test]
fn incident_that_was_cut_is_listed_as_unreadable() {
    let dir = tempdir().unwrap();
    let ids = [0, 1, 2].map(|n| write(dir.path(), &bundle(AT + n * 1000)).unwrap());
    fs::write(dir.path().join(&ids[0]).join("incident.json"), "{\"id\": \"2026").unwrap();
    fs::remove_file(dir.path().join(&ids[1]).join("incident.json")).unwrap();
    let all = list(dir.path()).unwrap();
    assert_eq!(all[0].as_ref().unwrap().id, ids[2]);
    for (found, id) in all[1..].iter().zip([&ids[1], &ids[0]]) {
        let error = found.as_ref().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("failed to read incident {id:?}: ")),
            "{error}"
        );
    }
}

#[test]
fn directory_that_cannot_be_read_is_no_empty_one() {
    let dir = tempdir().unwrap();
    let missing = list(&dir.path().join("missing")).unwrap();
    assert!(missing.is_empty(), "{missing:?}");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(list(&file).unwrap_err().kind(), io::ErrorKind::NotADirectory);
}

#[test]
fn bundle_is_written_in_full_under_an_id_that_sorts_by_time() {
    let dir = tempdir().unwrap();
    let dir = dir.path().join("incidents");
    let id = write(&dir, &bundle(AT)).unwrap();
    assert_eq!(id, "20261122T225000Z-stalled");
    let mut names: Vec<_> = fs::read_dir(dir.join(&id))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "container.log",
            "flight.jsonl",
            "host.json",
            "incident.json",
            "inspect.json",
            "parachain.prom",
            "status.json"
        ]
    );
    assert_eq!(fs::read(dir.join(&id).join("flight.jsonl")).unwrap(), bundle(AT).flight);

    assert_eq!(write(&dir, &bundle(AT)).unwrap(), "20261122T225000Z-stalled-2");
    assert_eq!(write(&dir, &bundle(AT + 60_000)).unwrap(), "20261122T225100Z-stalled");
    let listed: Vec<_> = kept(&dir).into_iter().map(|incident| incident.id).collect();
    assert_eq!(
        listed,
        [
            "20261122T225100Z-stalled",
            "20261122T225000Z-stalled-2",
            "20261122T225000Z-stalled"
        ]
    );
    let incident = kept(&dir).remove(0);
    assert_eq!((incident.at.as_str(), incident.helped), ("2026-11-22T22:51:00Z", None));
}

#[test]
fn single_incident_outlives_repeated_ones() {
    let dir = tempdir().unwrap();
    let once = write(dir.path(), &bundle(AT)).unwrap();
    for n in 1..100 {
        let again = IncidentBundle {
            cause: "crash_loop".into(),
            ..bundle(AT + n * 60_000)
        };
        write(dir.path(), &again).unwrap();
    }
    let kept = kept(dir.path());
    assert_eq!(kept.len(), COUNT_MAX);
    assert_eq!(kept.last().map(|i| &i.id), Some(&once));
}

#[test]
fn helped_is_recorded_afterwards() {
    let dir = tempdir().unwrap();
    let id = write(dir.path(), &bundle(AT)).unwrap();
    set_helped(dir.path(), &id, false).unwrap();
    assert_eq!(kept(dir.path())[0].helped, Some(false));
    set_helped(dir.path(), &id, true).unwrap();
    assert!(show(dir.path(), &id).unwrap().contains("helped   yes\n"));
    assert_eq!(kept(dir.path())[0].evidence, bundle(AT).evidence);
}

#[test]
fn no_secret_is_written() {
    let dir = tempdir().unwrap();
    let id = write(dir.path(), &bundle(AT)).unwrap();
    for entry in fs::read_dir(dir.path().join(&id)).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains("hunter22") && !text.contains("open-sesame"),
            "{}: {text}",
            path.display()
        );
    }
    assert!(
        show(dir.path(), &id)
            .unwrap()
            .contains("https://[redacted]@host/[redacted]")
    );
}

#[test]
fn never_more_than_fifty_and_the_newest_stay() {
    let dir = tempdir().unwrap();
    for n in 0..60 {
        write(dir.path(), &bundle(AT + n * 1000)).unwrap();
    }
    let all = kept(dir.path());
    assert_eq!(all.len(), COUNT_MAX);
    assert_eq!(all[0].id, "20261122T225059Z-stalled");
    assert_eq!(all[49].id, "20261122T225010Z-stalled");
}

#[test]
fn never_more_bytes_than_allowed_together_or_in_one_file() {
    let dir = tempdir().unwrap();
    let mut large = bundle(AT);
    large.parachain = Some(b"x 1\n".repeat(3 << 20));
    large.flight = b"{\"t\":1.0,\"event\":\"gap\"}\n".repeat(100_000);
    large.log = vec!["y".repeat(10 << 20); 3];
    let total = 9 << 20;
    for n in 0..3 {
        large.unix_ms = AT + n * 1000;
        large.id = format!("20261122T22500{n}Z-stalled");
        write_bounded(dir.path(), &large, COUNT_MAX, total).unwrap();
        let mut sum = 0;
        for folder in fs::read_dir(dir.path()).unwrap() {
            for file in fs::read_dir(folder.unwrap().path()).unwrap() {
                let size = file.unwrap().metadata().unwrap().len();
                assert!(size <= FILE_MAX as u64);
                sum += size;
            }
        }
        assert!(sum <= total, "{sum}");
        let flight = fs::read_to_string(dir.path().join(&large.id).join("flight.jsonl")).unwrap();
        assert!(
            flight.starts_with("{\"t\"") && flight.ends_with("}\n"),
            "whole lines only"
        );
    }
    assert_eq!(kept(dir.path()).len(), 2);
}

#[test]
fn log_keeps_the_last_five_hundred_lines() {
    let dir = tempdir().unwrap();
    let mut chatty = bundle(AT);
    chatty.log = (0..2000).map(|n| format!("line {n}")).collect();
    let id = write(dir.path(), &chatty).unwrap();
    let log = fs::read_to_string(dir.path().join(&id).join("container.log")).unwrap();
    assert_eq!((log.lines().next(), log.lines().count()), (Some("line 1500"), 500));
    let report = show(dir.path(), &id).unwrap();
    assert!(report.ends_with("line 1999\n") && report.contains("line 1940\n") && !report.contains("line 1939\n"));
}

#[test]
fn excerpt_is_bounded_redacted_and_without_control_characters() {
    let dir = tempdir().unwrap();
    let id = write(dir.path(), &bundle(AT)).unwrap();
    // As an earlier version may have left it.
    let log = format!("{}\n\u{1b}[2JAuthorization: Bearer hunter22\n", "x".repeat(40_000));
    fs::write(dir.path().join(&id).join("container.log"), log).unwrap();
    let excerpt = excerpt(dir.path(), &id).unwrap();
    assert_eq!(excerpt.incident.evidence, bundle(AT).evidence);
    assert_eq!(excerpt.log, ["Authorization: Bearer [redacted]"]);

    let mut large = bundle(AT);
    large.evidence = vec!["e".repeat(30_000), "never".into()];
    large.log = vec!["y".repeat(1000); 500];
    let excerpt = super::excerpt(dir.path(), &write(dir.path(), &large).unwrap()).unwrap();
    let size = excerpt
        .incident
        .evidence
        .iter()
        .chain(&excerpt.log)
        .map(String::len)
        .sum::<usize>();
    assert!(excerpt.log.len() == 9 && size <= 20_000, "{size}");
    assert_eq!(excerpt.incident.evidence.len(), 1);
}

#[test]
fn report_is_plain_text_within_its_bound() {
    let dir = tempdir().unwrap();
    let mut large = bundle(AT);
    large.log = vec!["é".repeat(2000); 500];
    large.evidence = vec!["e".repeat(30_000)];
    let id = write(dir.path(), &large).unwrap();
    assert!(show(dir.path(), &id).unwrap().len() <= 20_000);

    let report = show(dir.path(), &write(dir.path(), &bundle(AT)).unwrap()).unwrap();
    let report = report
        .replace(&dir.path().display().to_string(), "DIR")
        .replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(report, @r#"
    incident 20261122T225000Z-stalled-2
    at       2026-11-22T22:50:00Z
    cause    stalled
    action   restart
    helped   not known yet
    agent    VERSION

    evidence
      parachain best 1000 for 5m, target 2000

    host
    {
      "disk_free_bytes": 5,
      "note": "calls https://example.org/[redacted] with [redacted]"
    }

    all of it: DIR/20261122T225000Z-stalled-2

    last log lines of the container
    Idle (0 peers)
    telemetry https://[redacted]@host/[redacted]
    "#);
}

#[test]
fn path_as_id_is_rejected_and_unknown_id_is_named() {
    let dir = tempdir().unwrap();
    write(&dir.path().join("incidents"), &bundle(AT)).unwrap();
    let inner = dir.path().join("incidents/20261122T225000Z-stalled");
    for id in [
        "..",
        "../20261122T225000Z-stalled",
        "",
        ".",
        "a/b",
        "20991122T225000Z-frozen",
        "x\0",
    ] {
        assert!(matches!(show(&inner, id), Err(IncidentError::NotFound(_))), "{id:?}");
        assert!(
            matches!(set_helped(&inner, id, true), Err(IncidentError::NotFound(_))),
            "{id:?}"
        );
    }
    assert!(kept(&dir.path().join("nowhere")).is_empty());
}

#[test]
fn unfinished_and_damaged_incidents_are_ignored() {
    let dir = tempdir().unwrap();
    let half = dir.path().join(".half-20261122T000000Z-stalled");
    fs::create_dir(&half).unwrap();
    fs::create_dir(dir.path().join("20261122T000000Z-frozen")).unwrap();
    fs::write(dir.path().join("20261122T000000Z-frozen/incident.json"), "{\"id\":").unwrap();
    let id = write(dir.path(), &bundle(AT)).unwrap();
    assert!(!half.exists());
    assert_eq!(kept(dir.path()).iter().map(|i| i.id.as_str()).collect::<Vec<_>>(), [id]);
    assert!(matches!(
        show(dir.path(), "20261122T000000Z-frozen"),
        Err(IncidentError::Io("read", ..))
    ));
}

#[test]
fn failed_write_leaves_nothing() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = write(&dir.path().join("file"), &bundle(AT)).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("failed to write incident \"20261122T225000Z-stalled\""),
        "{error}"
    );
}
