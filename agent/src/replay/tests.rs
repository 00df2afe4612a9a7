#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::fmt::Write as _;
use std::io::{BufReader, Cursor};

use super::*;

/// What the replay prints as JSON, and what it says about the lines.
fn replay(trace: impl Into<Vec<u8>>) -> (String, Summary) {
    let mut out = Vec::new();
    let lines = Lines::from_reader("trace".into(), Box::new(BufReader::new(Cursor::new(trace.into()))));
    let summary = play(lines, None, true, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), summary)
}

fn sample(t: u64, best: u64) -> String {
    format!(r#"{{"t":{t},"event":"sample","chain":"parachain","best":{best},"target":9000,"peers":3}}"#) + "\n"
}

#[test]
fn what_cannot_be_used_is_skipped_with_place_and_reason() {
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
    assert_eq!(summary.problems.len(), PROBLEMS_SHOWN);
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
fn a_line_from_the_past_is_skipped_and_named() {
    let (_, summary) = replay(sample(100, 1) + &sample(40, 1) + &sample(105, 1));
    assert_eq!(
        summary.problems,
        ["trace line 2: time runs backwards: 40.000 s after 100.000 s"]
    );
    assert_eq!(summary.span, Some((Time(100_000), Time(105_000))));
}

#[test]
fn lines_of_one_moment_may_be_out_of_order() {
    let trace = r#"{"t":5.010,"event":"gap"}"#.to_owned() + "\n" + &sample(5, 1);
    assert_eq!(replay(trace).1.skipped, 0);
}

#[test]
fn a_clock_that_began_anew_is_a_gap_and_times_stay_the_traces_own() {
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
    assert!(out.contains(r#"{"t":2.0,"action":"start""#), "{out}");
}

#[test]
fn hundreds_of_deadlines_between_two_lines_fall_due_in_their_order() {
    let (out, _) = replay(sample(0, 1) + &sample(1000, 1));
    let restarts: Vec<&str> = out.lines().filter(|l| l.contains(r#""action":"restart""#)).collect();
    assert_eq!(
        restarts.len(),
        3,
        "one every 300 s of silence, none of them waits for its outcome: {out}"
    );
    assert!(restarts[0].starts_with(r#"{"t":300.0,"#), "{out}");
    assert!(restarts[2].starts_with(r#"{"t":900.0,"#), "{out}");
}

#[test]
fn nothing_falls_due_while_nobody_watched() {
    let (out, _) = replay(sample(0, 1) + "{\"t\":5000,\"event\":\"gap\"}\n" + &sample(5001, 1));
    assert!(!out.contains("restart"), "{out}");
}

/// A stall as the agent itself records it: what it did, what Docker said meanwhile, how it ended.
const RECORDED: &str = r#"{"t":0,"event":"sample","chain":"parachain","best":1}
{"t":300.004,"event":"action","action":"restart","cause":"stalled"}
{"t":300.005,"event":"action","action":"notify","cause":"stalled"}
{"t":301,"event":"container","state":"exited","exit_code":0,"at":1000}
{"t":303,"event":"finished","outcome":"done","state":"running","started_at":2500,"done_at":3000}
{"t":303.1,"event":"container","state":"exited","exit_code":0,"at":1000}
{"t":304,"event":"sample","chain":"parachain","best":1}
"#;

#[test]
fn the_agents_own_recording_replays_as_it_was() {
    let (out, summary) = replay(RECORDED);
    assert_eq!(
        summary.actions,
        BTreeMap::from([("notify", 1), ("restart", 1)]),
        "{out}"
    );
    assert!(
        out.contains(r#"{"t":303.0,"phase":"starting""#),
        "the recorded outcome counts: {out}"
    );
}

#[test]
fn what_only_the_recorded_agent_did_is_nobody_elses_hand() {
    // Without silence before it, this core does not restart; the exit is not held to be a crash.
    let trace = RECORDED.replace("\"t\":0,", "\"t\":290,");
    let (out, summary) = replay(trace.as_str());
    assert!(summary.actions.is_empty(), "{out}");
    // An exit later than what Docker's clock said when the action was done is news.
    let late = trace.replace(
        r#""t":303.1,"event":"container","state":"exited","exit_code":0,"at":1000"#,
        r#""t":303.1,"event":"container","state":"exited","exit_code":0,"at":3001"#,
    );
    assert_eq!(replay(late).1.actions, BTreeMap::from([("start", 1)]));
}

#[test]
fn an_agent_that_died_over_its_action_leaves_nobody_waiting() {
    let cut = RECORDED.split_inclusive('\n').take(4).collect::<String>();
    let trace = cut + "{\"t\":400,\"event\":\"gap\"}\n" + &sample(401, 1) + &sample(1000, 1);
    let (out, _) = replay(trace);
    assert!(out.contains(r#"{"t":701.0,"action":"restart""#), "{out}");
}

#[test]
fn people_see_times_words_and_evidence() {
    let mut out = Vec::new();
    let mut trace = sample(3725, 42);
    writeln!(
        trace,
        r#"{{"t":3726,"event":"container","state":"exited","exit_code":1}}"#
    )
    .unwrap();
    let lines = Lines::from_reader("trace".into(), Box::new(Cursor::new(trace.into_bytes())));
    play(lines, None, false, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.contains("   1:02:05  syncing            ok        parachain 42 of 9000, 3 peers\n"),
        "{out}"
    );
    assert!(out.contains("   1:02:06  -> start (exited)\n"), "{out}");
    assert!(out.ends_with("0:00:01 replayed: 1 start\n"), "{out}");
}

#[test]
fn a_trace_without_any_event_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"\0\x01garbage\n").unwrap();
    let error = run(file.path(), None, true, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("holds no event"), "{error}");
    let error = run(Path::new("/nowhere/trace"), None, true, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("/nowhere/trace"), "{error}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2000)) {
        drop(replay(bytes));
    }

    #[test]
    fn no_order_of_times_makes_it_panic(times in proptest::collection::vec(0..1_000_000_u64, 0..20)) {
        let trace: String = times.iter().map(|t| sample(*t, 1)).collect();
        let lines = times.len() as u64;
        proptest::prop_assert_eq!(replay(trace).1.lines, lines);
    }
}
