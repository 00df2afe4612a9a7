//! A configuration that was changed during the recording.

use std::fmt::Write as _;
use std::io::{BufReader, Cursor};

use agent_config::Config;

use crate::commands::replay::trace::{TraceReader, play};

/// Both exporters fall silent, and 90 s later a minute of silence is enough.
fn trace() -> String {
    let mut trace = r#"{"t":0,"event":"container","state":"running"}"#.to_owned() + "\n";
    for t in (0..200).step_by(5) {
        for chain in ["parachain", "relaychain"] {
            let rest = if t < 60 {
                format!(r#""event":"sample","best":{t},"target":{t},"peers":3"#)
            } else {
                r#""event":"scrape_failed","error":"timeout""#.to_owned()
            };
            writeln!(trace, r#"{{"t":{t},"chain":"{chain}",{rest}}}"#).unwrap();
        }
        if t == 150 {
            let policy = r#"{"frozen_after":{"secs":60,"nanos":0}}"#;
            writeln!(trace, r#"{{"t":150,"event":"configuration","policy":{policy}}}"#).unwrap();
        }
    }
    trace
}

/// When the replay restarts the collator, seconds.
fn restarted(config: Option<&Config>) -> Option<f64> {
    let mut out = Vec::new();
    let lines = TraceReader::from_reader("trace".into(), Box::new(BufReader::new(Cursor::new(trace()))));
    let summary = play(lines, config, true, &mut out).unwrap();
    assert_eq!(summary.skipped, 0, "{:?}", summary.problems);
    let out = String::from_utf8(out).unwrap();
    let mut lines = out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.find(|line| line["action"] == "restart")?["t"].as_f64()
}

#[test]
fn recorded_configuration_judges_from_there_on() {
    assert_eq!(restarted(None), Some(150.0));
}

#[test]
fn configuration_of_the_command_line_holds_throughout() {
    let config = Config::parse(agent_config::DEFAULT, "agent.toml").unwrap();
    let at = restarted(Some(&config)).unwrap();
    assert!(at > 170.0, "{at}");
}
