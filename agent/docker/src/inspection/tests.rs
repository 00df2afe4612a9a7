//! What Docker says of a container, read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::spec::tests::config;

fn found(status: &str, labels: &str) -> InspectedContainer {
    found_on(r#"{"chains":{}}"#, status, labels)
}

fn found_on(networks: &str, status: &str, labels: &str) -> InspectedContainer {
    let json = format!(
        r#"{{"Id":"0123456789abcdef0123","Name":"/node","RestartCount":2,"Image":"sha256:1111",
            "State":{{"Status":"{status}","OOMKilled":true,"ExitCode":137,"Pid":0,
                      "StartedAt":"2026-11-23T06:24:38.041705195Z","FinishedAt":"0001-01-01T00:00:00Z"}},
            "NetworkSettings":{{"Networks":{networks}}},
            "Config":{{"Image":"org/node@sha256:2222","Labels":{{{labels}}}}}}}"#
    );
    let mut config = config();
    config.collator.network = "chains".to_owned();
    let mut spec = Spec::new(&config).unwrap();
    spec.hash = "abcd".to_owned();
    InspectedContainer::new(serde_json::from_str(&json).unwrap(), &spec)
}

/// A container of ours in that state, with its last start and end in Unix milliseconds.
pub(crate) fn found_at(status: &str, started_at: Option<i64>, finished_at: Option<i64>) -> InspectedContainer {
    InspectedContainer {
        started_at,
        finished_at,
        ..found(status, OURS)
    }
}

const OURS: &str = r#""t0rn-agent.managed":"true","t0rn-agent.spec":"abcd","t0rn-agent.image":"org/node:v1""#;

#[test]
fn every_word_of_docker_has_its_meaning() {
    let of = |status| found(status, OURS).container(Vec::new());
    let started_at = Some(1_795_415_078_041);
    assert_eq!(
        of("running"),
        Container::Running {
            started_at,
            spec_matches: true
        }
    );
    assert_eq!(
        of("paused"),
        Container::Paused {
            started_at,
            spec_matches: true
        }
    );
    assert_eq!(of("restarting"), Container::Restarting);
    assert_eq!(of("created"), Container::Created { spec_matches: true });
    for ended in ["exited", "dead", "removing"] {
        let exit = Exit {
            code: Some(137),
            oom: true,
            log: Vec::new(),
        };
        assert_eq!(
            of(ended),
            Container::Exited {
                at: None,
                exit,
                spec_matches: true
            }
        );
    }
}

#[test]
fn without_our_label_it_is_foreign_whatever_else_it_carries() {
    let labels = r#""t0rn-agent.managed":"false","t0rn-agent.spec":"abcd""#;
    assert_eq!(found("running", labels).container(Vec::new()), Container::Foreign);
    assert_eq!(found("running", "").container(Vec::new()), Container::Foreign);
}

#[test]
fn another_spec_is_seen() {
    let labels = r#""t0rn-agent.managed":"true","t0rn-agent.spec":"other""#;
    assert_eq!(
        found("created", labels).container(Vec::new()),
        Container::Created { spec_matches: false }
    );
}

#[test]
fn a_running_container_that_lost_its_network_is_not_what_was_asked_for() {
    let matches = |networks: &str, status: &str| found_on(networks, status, OURS).spec_matches;
    assert!(!matches("{}", "running"));
    assert!(!matches(r#"{"bridge":{"NetworkID":"ab12"}}"#, "running"));
    assert!(matches(r#"{"bridge":{},"chains":{}}"#, "running"));
    assert!(matches(r#"{"other":{"NetworkID":"chains"}}"#, "running"), "by its id");
    assert!(matches("{}", "exited"), "nothing to be cut off from");
}

#[test]
fn details_tell_what_was_asked_for_and_what_it_resolved_to() {
    let detail = found("exited", OURS).detail;
    assert_eq!((detail.id.as_str(), detail.name.as_str()), ("0123456789ab", "node"));
    assert_eq!(
        (detail.image.as_str(), detail.digest.as_deref()),
        ("org/node:v1", Some("sha256:2222"))
    );
    assert_eq!((detail.finished_at, detail.pid, detail.restart_count), (None, None, 2));
}

#[test]
fn the_end_of_an_earlier_run_is_not_told_of_a_running_container() {
    let detail = found("running", OURS).detail;
    assert_eq!((detail.exit_code, detail.oom), (None, false));
}
