//! Secrets of forty forms, planted wherever the container and the configuration have texts: none is in any output.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_config::Config;
use agent_core::event::{Container, Event, Exit, Time};
use agent_core::exit_diagnosis::Signatures;
use agent_core::machine::{Machine, Policy};
use agent_core::metrics;
use agent_docker::Docker;
use agent_runtime::Instant;
use serde_json::json;

use super::clock::AgentClock;
use super::event_loop::redact;
use super::known_secrets::secrets;
use super::publisher::Publisher;
use crate::recorder::incident::{self, IncidentBundle};
use crate::recorder::{self, Recorder, RecorderLimits};

const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk abandon ability able about \
                     absent absorb abstract absurd abuse access accident account";

/// Secrets of variables: the variable and the secret.
const VARIABLES: [(&str, &str); 10] = [
    ("DB_PASS", "p4ss"),
    ("SIGNING_KEY", "signing-01"),
    ("SESSION_COOKIE", "session-02"),
    ("API_CREDENTIALS", "credential-03"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("GITHUB_TOKEN", "token-05"),
    ("NODE_SEED", "//Stash//7"),
    ("LICENSE", "license-07"),
    ("MOTTO", "a motto of many words"),
    ("DSN", "dsn-user-09"),
];

/// Secrets of arguments: the words, and the secret.
const ARGUMENTS: [(&str, &str); 8] = [
    ("--node-key 00aa11bb22cc33dd", "00aa11bb22cc33dd"),
    ("--password=correct-horse", "correct-horse"),
    ("--suri //Charlie//10", "//Charlie//10"),
    ("--made-up made-up-11", "made-up-11"),
    (
        "--relay-chain-rpc-urls wss://rpc.example/v3/0a1b2c3d4e5f6071",
        "0a1b2c3d4e5f6071",
    ),
    (
        "--telemetry-url wss://t.example/submit?k=9f8e7d6c5b4a3921",
        "9f8e7d6c5b4a3921",
    ),
    ("--rpc-external positional-14", "positional-14"),
    ("-pattached-15", "attached-15"),
];

/// Secrets of log lines that no configuration has: the line and the secret.
fn lines() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = [12, 15, 18, 21, 24]
        .map(|count| {
            let words: Vec<_> = WORDS.split_whitespace().take(count).collect();
            (format!("loaded {}.", words.join(" ")), words[count - 3..].join(" "))
        })
        .to_vec();
    let words: Vec<_> = WORDS.split_whitespace().take(12).collect();
    all.push((format!("keys {words:?}"), "\"lonely\", \"fit\"".to_owned()));
    let seed = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
    for (line, secret) in [
        (format!("raw 0x{seed}"), seed),
        ("Authorization: Bearer log-bearer-17".to_owned(), "log-bearer-17"),
        ("sent basic bG9nOmJhc2ljMTg= to it".to_owned(), "bG9nOmJhc2ljMTg="),
        ("Cookie: a=cookie-19; b=c".to_owned(), "cookie-19"),
        ("set-cookie: sid=cookie-20".to_owned(), "cookie-20"),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl".to_owned(),
            "c2lnbmF0dXJl",
        ),
        ("role AKIAIOSFODNN7EXAMPLE".to_owned(), "AKIAIOSFODNN7EXAMPLE"),
        ("clone with ghp_0123456789abcdefghij01234".to_owned(), "ghp_0123456789"),
        (
            "-----BEGIN PRIVATE KEY-----\nYXJtb3VyLTI0\n-----END PRIVATE KEY-----".to_owned(),
            "YXJtb3VyLTI0",
        ),
        ("password=log-password-25 set".to_owned(), "log-password-25"),
        ("{\"client_secret\": \"log secret 26\"}".to_owned(), "log secret 26"),
        (
            "at https://log-user-27:log-pass-27@h.example/x".to_owned(),
            "log-pass-27",
        ),
        ("wss://h.example/log-path-28 closed".to_owned(), "log-path-28"),
        ("https://h.example/?api-key=log-query-29".to_owned(), "log-query-29"),
        ("told xoxb-1234567890-abcdefghij".to_owned(), "xoxb-1234567890"),
    ] {
        all.push((line, secret.to_owned()));
    }
    all
}

/// A configuration with secrets in every place that has room for one, and those of the files and URLs.
fn config(dir: &Path) -> (Config, Vec<&'static str>) {
    let auths = dir.join("registry.json");
    // `me:hub-secret` in base64.
    let text = r#"{"auths": {"docker.io": {"auth": "bWU6aHViLXNlY3JldA=="}, "h": {"identitytoken": "identity-32"}}}"#;
    fs::write(&auths, text).unwrap();
    fs::set_permissions(&auths, fs::Permissions::from_mode(0o600)).unwrap();
    let command: Vec<_> = ARGUMENTS.iter().flat_map(|(words, _)| words.split(' ')).collect();
    let variables: Vec<_> = VARIABLES
        .iter()
        .map(|(name, value)| format!("{name} = {value:?}"))
        .collect();
    let text = format!(
        "[collator]\nimage = \"org/node:v1\"\ncommand = {command:?}\nenv = {{ {} }}\nregistry_auth = {:?}\n\
         [notify]\nwebhook = \"https://hooks.example/services/T0/webhook-33-b4c5\"\n\
         [chains.parachain]\nreference = \"https://rpc.example/reference-34-d6e7\"\n",
        variables.join(", "),
        auths
    );
    let urls = [
        "webhook-33-b4c5",
        "reference-34-d6e7",
        "hub-secret",
        "bWU6aHViLXNlY3JldA==",
        "identity-32",
    ];
    (Config::parse(&text, "test").unwrap(), urls.to_vec())
}

fn read(dir: &Path, into: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, into);
        } else {
            into.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap()));
        }
    }
}

#[tokio::test]
async fn planted_secret_of_any_form_is_in_no_output() {
    let (dir, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (config, mut planted) = config(dir.path());
    let (config, docker) = (Arc::new(config.clone()), Docker::new(&config).unwrap());
    docker.read_registry_secrets().await;
    let known = secrets(&config, &docker);
    planted.extend(VARIABLES.iter().chain(&ARGUMENTS).map(|(_, secret)| *secret));
    let lines = lines();
    // The node logs what it was given.
    let mut log: Vec<String> = planted.iter().map(|secret| format!("using {secret} now")).collect();
    log.extend(lines.iter().flat_map(|(line, _)| line.split('\n').map(str::to_owned)));
    planted.extend(lines.iter().map(|(_, secret)| secret.as_str()));
    assert!(planted.len() >= 40, "{}", planted.len());

    let exit = Exit {
        code: Some(1),
        oom: false,
        log: log.clone(),
    };
    let mut container = Container::Exited {
        at: None,
        exit,
        spec_matches: true,
    };
    redact(&mut container, &known);
    let recorder = Recorder::open(kept.path(), RecorderLimits::default());
    let event = Event::Container(container);
    recorder.event(Time(1), &event);
    assert!(recorder.flush(Duration::from_secs(20)).await);
    let mut machine = Machine::new(Policy::from(&*config), Time(0));
    let actions = machine.step(Time(2), event);
    let publisher = Publisher::new(&config, AgentClock::starting_at(Time(3)));
    publisher.publish(&machine);
    let snapshot = publisher.subscribe().borrow().clone();
    let env: Vec<_> = config
        .collator
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let inspect = json!({
        "Path": "/usr/bin/node", "Args": config.collator.command,
        "Config": {"Env": env, "Cmd": config.collator.command, "Entrypoint": ["/usr/bin/node"],
            "Labels": {"org.example.note": "signing-01", "t0rn-agent.image": "org/node:v1"}},
        "State": {"Health": {"Log": [{"Output": log.join("\n")}]}},
    });
    let page = Some(format!("# HELP x {}\nx{{url=\"wss://h.example/log-path-28\"}} 1\n", log[0]).into_bytes());
    let bundle = IncidentBundle {
        id: "20261129T200000Z-frozen".to_owned(),
        cause: "frozen".to_owned(),
        action: "restart".to_owned(),
        evidence: log.clone(),
        flight: json!({"t": 1.0, "event": "log", "lines": log}).to_string().into_bytes(),
        log: log.clone(),
        inspect: Some(inspect.to_string()),
        parachain: page.clone(),
        relaychain: page,
        host: Some(json!({"note": log.join(" ")})),
        status: Some(json!({"reasons": log})),
        secrets: known.clone(),
        ..IncidentBundle::default()
    };
    incident::write(&kept.path().join("incidents"), &bundle).unwrap();

    let mut output = recorder::redacted(&log.join("\n"), &known);
    writeln!(output, "{actions:?}").unwrap();
    output.push_str(&snapshot.status.to_json());
    output.push_str(&snapshot.status.render(false));
    output.push_str(&metrics::render(
        &snapshot,
        &metrics::ProcessStats::default(),
        metrics::Format::Text,
        Instant::now().into_std(),
    ));
    for problem in machine.problems() {
        output.push_str(&recorder::redacted(&machine.explain(problem.cause), &known));
    }
    output.push_str(&serde_json::to_string(machine.state()).unwrap());
    read(kept.path(), &mut output);
    let found: Vec<_> = planted.iter().filter(|secret| output.contains(**secret)).collect();
    assert!(found.is_empty(), "{found:?} of {}", planted.len());
    for shown in ["--node-key", "org/node:v1", "wss://rpc.example/", "GITHUB_TOKEN="] {
        assert!(output.contains(shown), "{shown} is no secret");
    }
}

#[test]
fn redaction_leaves_the_last_lines_their_meaning() {
    let signatures = Signatures::new(Vec::new());
    let examples = include_str!("../../../core/src/exit_diagnosis/tests/examples.txt");
    for example in examples.lines() {
        let exit = |line: &str| Exit {
            code: Some(1),
            oom: false,
            log: vec![line.to_owned()],
        };
        let diagnosed = |line: &str| signatures.diagnose(&exit(line), false).map(|found| found.cause);
        let clean = recorder::redacted(example, &[]);
        assert_eq!(diagnosed(&clean), diagnosed(example), "{example}\n{clean}");
    }
}
