#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod configuration;
mod recorded;

use std::fmt::Write as _;
use std::io::{BufReader, Cursor};

use super::*;

/// What the replay prints as JSON, and what it says about the lines.
fn replay(trace: impl Into<Vec<u8>>) -> (String, ReplaySummary) {
    let mut out = Vec::new();
    let lines = TraceReader::from_reader("trace".into(), Box::new(BufReader::new(Cursor::new(trace.into()))));
    let summary = play(lines, None, true, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), summary)
}

fn sample(t: u64, best: u64) -> String {
    format!(r#"{{"t":{t},"event":"sample","chain":"parachain","best":{best},"target":9000,"peers":3}}"#) + "\n"
}

#[test]
fn unusable_lines_are_skipped_with_place_and_reason() {
    let mut trace = sample(1, 1).into_bytes();
    trace.extend(b"{\"t\":2,\"event\":\"sam\n\n");
    trace.extend(b"\xff\xfe\x00binary\x80\n");
    trace.extend(b"{\"t\":3,\"event\":\"reboot\"}\n");
    trace.extend(b"{\"t\":\"3\",\"event\":\"gap\"}\n");
    trace.extend(b"[[[[[[{{{\n\"a\"\n");
    trace.extend(sample(10, 2).into_bytes());
    let (out, summary) = replay(trace);
    assert!(out.contains("phase"), "{out}");
    assert_eq!((summary.lines, summary.skipped), (8, 6));
    assert_eq!(summary.problems.len(), MAX_PROBLEMS);
    assert!(
        summary.problems[0].starts_with("trace line 2: EOF while parsing"),
        "{:?}",
        summary.problems
    );
    assert!(
        summary.problems[1].starts_with("trace line 4: "),
        "{:?}",
        summary.problems
    );
}

#[test]
fn trace_with_rare_samples_is_judged_by_their_spacing() {
    let stands = |spacing: u64| -> (String, ReplaySummary) {
        let rising = (0..8).map(|n| sample(n * spacing, n));
        let standing = (8..40).map(|n| sample(n * spacing, 7));
        replay(rising.chain(standing).collect::<String>())
    };
    for (spacing, notes) in [(30, 0), (60, 1), (120, 1), (300, 1)] {
        let (out, summary) = stands(spacing);
        assert!(
            out.contains(r#""action":"restart","cause":"stalled""#),
            "{spacing}: {out}"
        );
        assert_eq!(summary.notes.len(), notes, "{spacing}: {:?}", summary.notes);
    }
}

#[test]
fn lost_sample_of_a_rare_trace_is_no_gap() {
    for spacing in [60, 120, 300] {
        // Every third is lost, and the others come up to a sixth late.
        let samples = (0..120).filter(|n| n % 3 != 2);
        let trace = samples.map(|n: u64| sample(n * spacing + n % 7 * spacing / 42, n.min(20)));
        let (out, summary) = replay(trace.collect::<String>());
        assert!(
            out.contains(r#""action":"restart","cause":"stalled""#),
            "{spacing}: {out}"
        );
        assert!(
            !summary.notes.iter().any(|note| note.contains("too thin")),
            "{:?}",
            summary.notes
        );
    }
}

#[test]
fn trace_that_becomes_too_thin_is_reported() {
    let dense: String = (0..40).map(|n| sample(n * 5, n)).collect();
    let thin: String = (1..20).map(|n| sample(200 + n * 300, 40)).collect();
    let (_, summary) = replay(dense.clone() + &thin);
    assert!(summary.notes[0].starts_with("too thin to judge"), "{:?}", summary.notes);
    assert_eq!(replay(dense).1.notes, [""; 0]);
}

#[test]
fn line_from_the_past_is_skipped_and_reported() {
    let (_, summary) = replay(sample(100, 1) + &sample(40, 1) + &sample(105, 1));
    assert_eq!(
        summary.problems,
        ["trace line 2: time runs backwards: 40.000 s after 100.000 s"]
    );
    assert_eq!(summary.span, Some((Time(100_000), Time(105_000))));
}

#[test]
fn container_not_seen_running_is_not_restarted_for_failed_scrapes() {
    let mut trace = r#"{"t":0,"event":"container","state":"running"}"#.to_owned() + "\n" + &sample(1, 1);
    trace += "{\"t\":60,\"event\":\"container\",\"state\":\"exited\",\"exit_code\":1}\n";
    for t in (60..4000).step_by(5) {
        for chain in ["parachain", "relaychain"] {
            writeln!(
                trace,
                r#"{{"t":{t},"event":"scrape_failed","chain":"{chain}","error":"refused"}}"#
            )
            .unwrap();
        }
    }
    let out = replay(trace).0;
    assert!(out.contains(r#""action":"start""#), "{out}");
    assert!(!out.contains(r#""action":"restart""#), "{out}");
}

#[test]
fn lines_within_jitter_may_be_out_of_order() {
    let trace = r#"{"t":5.010,"event":"gap"}"#.to_owned() + "\n" + &sample(5, 1);
    assert_eq!(replay(trace).1.skipped, 0);
}

#[test]
fn restarted_clock_is_a_gap_with_the_traces_own_times() {
    let mut trace = sample(5000, 1);
    for t in 0..10 {
        trace += &sample(t * 5, 1);
    }
    let (_, summary) = replay(trace);
    assert_eq!(summary.skipped, 5);
    assert_eq!(summary.span, Some((Time(5_000_000), Time(5_020_000))));

    // The recorder writes a clock line whenever the agent begins, so nothing is lost.
    let mut trace = sample(5000, 1) + "{\"t\":0,\"event\":\"clock\",\"unix_ms\":1795388136000}\n" + &sample(1, 1);
    trace += "{\"t\":2,\"event\":\"container\",\"state\":\"exited\",\"exit_code\":1}\n";
    let (out, summary) = replay(trace);
    assert_eq!(summary.skipped, 0);
    assert!(out.contains(r#"{"t":2.0,"phase":"#), "the line's own time: {out}");
}

/// It ended, Docker does not start it again, and nothing more is heard for half an hour.
const ENDED: &str = r#"{"t":0,"event":"container","state":"running"}
{"t":10,"event":"container","state":"exited","exit_code":1}
"#;

#[test]
fn deadline_between_two_lines_is_due_at_its_time() {
    let (out, summary) = replay(ENDED.to_owned() + &sample(1800, 1));
    assert_eq!(summary.actions.get("start"), Some(&1), "{out}");
    let start = out.lines().find(|line| line.contains(r#""action":"start""#)).unwrap();
    let t = serde_json::from_str::<serde_json::Value>(start).unwrap()["t"]
        .as_f64()
        .unwrap();
    assert!(10.0 < t && t < 120.0, "{out}");
}

#[test]
fn no_deadline_is_due_within_a_gap() {
    let (out, _) = replay(ENDED.to_owned() + "{\"t\":1800,\"event\":\"gap\"}\n" + &sample(1801, 1));
    let t = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["t"]
            .as_f64()
            .unwrap()
    };
    assert!(out.lines().map(t).all(|t| t <= 10.0 || t >= 1800.0), "{out}");
}

/// A stall as the agent itself records it: what it did, what Docker said meanwhile, how it ended. With
/// `rising`, the chains make progress all the time.
fn recorded(rising: bool) -> String {
    let mut trace = String::from("{\"t\":0,\"event\":\"container\",\"state\":\"running\",\"started_at\":1}\n");
    let samples = |trace: &mut String, t: u64| {
        for chain in ["parachain", "relaychain"] {
            let best = if rising { t } else { 1 };
            let text =
                format!(r#"{{"t":{t},"event":"sample","chain":"{chain}","best":{best},"target":9000,"peers":3}}"#);
            trace.push_str(&(text + "\n"));
        }
    };
    (1..=61).for_each(|n| samples(&mut trace, n * 5));
    trace.push_str(
        r#"{"t":305.004,"event":"action","action":"restart","cause":"stalled"}
{"t":305.004,"event":"action","action":"notify","cause":"stalled"}
{"t":306,"event":"container","state":"exited","exit_code":0,"at":1000}
{"t":308,"event":"finished","outcome":"done","state":"running","started_at":2500,"done_at":3000}
{"t":308.1,"event":"container","state":"exited","exit_code":0,"at":1000}
"#,
    );
    samples(&mut trace, 310);
    trace
}

#[test]
fn recorded_action_taken_again_gets_its_recorded_outcome() {
    let (out, summary) = replay(recorded(false));
    assert_eq!(
        summary.actions,
        BTreeMap::from([("notify", 1), ("restart", 1)]),
        "{out}"
    );
    assert!(
        out.contains(r#"{"t":308.0,"phase":"starting""#),
        "the recorded outcome counts: {out}"
    );
}

#[test]
fn effects_of_other_recorded_actions_are_hidden() {
    // With progress this core does not restart; and the exit is not held to be a crash.
    let (out, summary) = replay(recorded(true));
    assert!(summary.actions.is_empty(), "{out}");
    // An exit later than what Docker's clock said when the action was done is news.
    let (head, tail) = recorded(true)
        .rsplit_once("\"at\":1000")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert!(!replay(head + "\"at\":3001" + &tail).1.actions.is_empty());
}

#[test]
fn gap_after_recorded_action_finishes_it() {
    let cut = recorded(false).split_once("{\"t\":308,").unwrap().0.to_owned();
    let (out, _) = replay(cut + "{\"t\":400,\"event\":\"gap\"}\n" + &sample(401, 1));
    let phases: Vec<&str> = out.lines().filter(|line| line.contains("phase")).collect();
    assert!(phases.iter().any(|line| line.contains("restarting")), "{out}");
    assert!(!phases.last().unwrap().contains("restarting"), "{out}");
}

#[test]
fn text_has_times_causes_and_samples() {
    let mut out = Vec::new();
    let mut trace = sample(3725, 42);
    writeln!(
        trace,
        r#"{{"t":3726,"event":"container","state":"exited","exit_code":1}}"#
    )
    .unwrap();
    let lines = TraceReader::from_reader("trace".into(), Box::new(Cursor::new(trace.into_bytes())));
    play(lines, None, false, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.contains("   1:02:05  syncing            ok        parachain 42 of 9000, 3 peers\n"),
        "{out}"
    );
    assert!(out.contains("   1:02:06  -> notify (exited): "), "{out}");
    assert!(out.ends_with("0:00:01 replayed: 1 notify\n"), "{out}");
}

#[test]
fn trace_without_events_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"\0\x01garbage\n").unwrap();
    let error = replay_trace(file.path(), None, true, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("holds no event"), "{error}");
    let error = replay_trace(Path::new("/nowhere/trace"), None, true, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("/nowhere/trace"), "{error}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

    #[test]
    fn any_bytes_do_not_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2000)) {
        drop(replay(bytes));
    }

    #[test]
    fn any_order_of_times_does_not_panic(times in proptest::collection::vec(0..1_000_000_u64, 0..20)) {
        let trace: String = times.iter().map(|t| sample(*t, 1)).collect();
        let lines = times.len() as u64;
        proptest::prop_assert_eq!(replay(trace).1.lines, lines);
    }
}
