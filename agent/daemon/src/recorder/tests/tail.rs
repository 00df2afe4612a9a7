//! The tail of a recording.

use super::*;

#[tokio::test]
async fn tail_spans_files_and_stops_at_its_time() {
    let dir = tempdir().unwrap();
    let recorder = open(&dir, limits(1 << 20, 4000));
    for n in 0..200 {
        recorder.event(Time(n * 1000), &sample(Chain::Relaychain, n));
        assert!(n % 50 != 0 || recorder.flush(WAIT).await);
    }
    assert!(recorder.flush(WAIT).await);
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
fn tail_leaves_out_damage_and_times_of_an_earlier_clock() {
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
