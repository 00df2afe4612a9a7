use proptest::prelude::*;
use serde_json::json;

use super::*;

const SEED: &str = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";

#[test]
fn secrets_are_redacted_and_other_text_is_kept() {
    for (from, to) in [
        (
            "pull https://joe:s3cret@registry.example/v2/",
            "pull https://[redacted]@registry.example/[redacted]",
        ),
        (
            "wss://telemetry.polkadot.io/submit 1",
            "wss://telemetry.polkadot.io/[redacted] 1",
        ),
        (
            "POST https://hooks.slack.com/services/T0/B0/xyz failed",
            "POST https://hooks.slack.com/[redacted] failed",
        ),
        (
            "https://discord.com/api/webhooks/1/abc\"",
            "https://discord.com/[redacted]\"",
        ),
        (
            "https://api.telegram.org/bot1:AA/sendMessage",
            "https://api.telegram.org/[redacted]",
        ),
        ("Authorization: Bearer abc.def ghi\n", "Authorization: [redacted]\n"),
        (
            "-H 'authorization: Basic am9l' http://x/y",
            "-H 'authorization: [redacted]' http://x/[redacted]",
        ),
        (
            "node --node-key 00aa11bb --chain /spec",
            "node --node-key [redacted] --chain /spec",
        ),
        (
            "node --node-key=00aa11bb --name n",
            "node --node-key=[redacted] --name n",
        ),
        (
            "node --node-key-file /keys/node --name n",
            "node --node-key-file /keys/node --name n",
        ),
        (
            "[\"--password\", \"a b\", \"--name\"]",
            "[\"--password\", \"[redacted]\", \"--name\"]",
        ),
        (
            "REGISTRY_PASSWORD=hunter2 OTHER=1",
            "REGISTRY_PASSWORD=[redacted] OTHER=1",
        ),
        (
            "GET /hooked?access_token=abc&x=1",
            "GET /hooked?access_token=[redacted]&x=1",
        ),
        (
            "Secret phrase:  bottom drive obey lake\n",
            "Secret phrase:  [redacted]\n",
        ),
        ("--suri //Alice//stash", "--suri [redacted]"),
        (
            "{\"password\": \"a \\\" b\", \"user\": \"joe\"}",
            "{\"password\": \"[redacted]\\\" b\", \"user\": \"joe\"}",
        ),
        (
            "best: #42 (0xab12…cd34), finalized #40",
            "best: #42 (0xab12…cd34), finalized #40",
        ),
        (
            "Essential task 'txpool' failed. 💔",
            "Essential task 'txpool' failed. 💔",
        ),
    ] {
        assert_eq!(text(from, &[]), to);
    }
    assert_eq!(text(&format!("seed {SEED}."), &[]), "seed 0x[redacted].");
    assert_eq!(
        text("say open-sesame twice", &["open-sesame".into()]),
        "say [redacted] twice"
    );
    let armour = "a\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbg\n-----END OPENSSH PRIVATE KEY-----\nb\n";
    assert_eq!(text(armour, &[]), "a\n[redacted]\nb\n");
}

#[test]
fn known_value_is_redacted_everywhere() {
    let known = ["correct-horse".to_owned(), "two\nlines".to_owned()];
    assert_eq!(
        text("joe:correct-horse@db is down", &known),
        "joe:[redacted]@db is down"
    );
    assert_eq!(text("a\ntwo\nlines\nb\n", &known), "a\n[redacted]\nb\n");
}

#[test]
fn armoured_key_without_an_end_hides_no_more_than_a_key_has() {
    let mut log: Vec<String> = vec!["-----BEGIN PRIVATE KEY-----".to_owned()];
    log.extend((0..100).map(|n| format!("line {n}")));
    lines(&mut log, &[]);
    assert!(
        log[0] == "[redacted]" && log[1].is_empty() && log[100] == "line 99",
        "{log:?}"
    );
}

#[test]
fn container_is_shown_by_what_is_known_to_be_safe() {
    let mut inspect = json!({
        "Path": "/usr/bin/node", "Args": ["--name", "me", "--made-up", "x"],
        "Config": {"Env": ["PATH=/bin", "RUST_LOG=sync=debug", "LICENSE=abc", "URL=https://a:b@c/d"],
            "Cmd": ["--node-key", "00aa", "--node-key=00bb", "--chain", "/spec", "--password-file", "/x",
                "--relay-chain-rpc-urls", "wss://rpc.example:443/v3/abc"],
            "Entrypoint": ["sh", "-c", "SECRET=x node"],
            "Labels": {"t0rn-agent.spec": "ab12", "note": "x"}},
        "password": "hunter2", "Token": 7, "SecretCount": null, "Id": "ab12"
    });
    json(&mut inspect, &[]);
    assert_eq!(
        inspect,
        json!({
            "Path": "/usr/bin/node", "Args": ["--name", "me", "--made-up", "[redacted]"],
            "Config": {"Env": ["PATH=/bin", "RUST_LOG=sync=debug", "LICENSE=[redacted]", "URL=[redacted]"],
                "Cmd": ["--node-key", "[redacted]", "--node-key=[redacted]", "--chain", "/spec", "--password-file", "/x",
                    "--relay-chain-rpc-urls", "wss://rpc.example:443/[redacted]"],
                "Entrypoint": ["sh", "-c", "[redacted]"],
                "Labels": {"t0rn-agent.spec": "ab12", "note": "[redacted]"}},
            "password": "[redacted]", "Token": "[redacted]", "SecretCount": null, "Id": "ab12"
        })
    );
}

proptest! {
    #[test]
    fn no_password_survives_redaction(before in "[ -~é]{0,20}", value in "[A-Z0-9]{8}Q7", after in "[ -~\n]{0,20}") {
        for shape in ["password={}", "\"password\": \"{}\"", "--password {}", "password: '{}'", "x://u:{}@h"] {
            let line = format!("{before} {} {after}", shape.replace("{}", &value));
            let clean = text(&line, &[]);
            prop_assert!(!clean.contains(&value), "{line:?} -> {clean:?}");
            prop_assert_eq!(text(&clean, &[]), clean.clone());
        }
    }

    #[test]
    fn redacted_trace_stays_a_trace(log in prop::collection::vec("(password|token|seed|suri)?[=: \"'\\\\a-z0-9]{0,20}\\PC{0,9}", 0..4)) {
        let line = json!({"t": 1.0, "event": "container", "state": "exited", "log": log}).to_string();
        let clean = json_lines(&line, &[]);
        prop_assert!(agent_core::trace::parse_line(clean.as_bytes()).is_ok(), "{line} -> {clean}");
    }
}

#[test]
fn variables_of_a_configuration_are_shown_when_they_are_known_to_be_safe() {
    let mut value =
        serde_json::json!({"env": {"ANYTHING": "x", "RUST_LOG": "info", "NUMBER": 5, "RUST_BACKTRACE": {"a": 1}}});
    json(&mut value, &[]);
    assert_eq!(
        value["env"],
        serde_json::json!({"ANYTHING": GONE, "RUST_LOG": "info", "NUMBER": GONE, "RUST_BACKTRACE": {"a": 1}})
    );
}
