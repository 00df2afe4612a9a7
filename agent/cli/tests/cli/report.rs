//! `report`: one file with everything of an incident, and no secret.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use agent_core::status::Health;

use crate::harness::{Finished, Sandbox, finish};

const ID: &str = "20261129T101743Z-frozen";
/// In what an operator may have written, and what a node may log.
const SECRETS: [&str; 6] = [
    "hunter22-of-the-environment",
    "0x5ec3e7of9the2command1line",
    "hook-path-T0K3N-7f3a9c",
    "bearer-9d8f7a6b5c4d3e2f1a0b",
    "db-pass-of-the-log-line",
    "key-in-a-comment-1234567890",
];
const HOSTILE: &str = "</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>";

/// An incident as an earlier version may have left it, and a configuration, with secrets and markup in all of it.
fn plant(sandbox: &Sandbox) {
    let [env, argument, hook, bearer, log, comment] = SECRETS;
    let config = fs::read_to_string(sandbox.config()).unwrap();
    let more = format!(
        "command = ['node', '--custom-flag', '{argument}']\nenv = {{ ANYTHING = '{env}', RUST_LOG = 'info' }}\n\
         [notify]\nwebhook = 'https://hooks.example/{hook}'\n"
    );
    fs::write(sandbox.config(), format!("{config}{more}# {comment} {HOSTILE}\n")).unwrap();

    let incident = sandbox.dir.path().join("state/incidents").join(ID);
    fs::create_dir_all(&incident).unwrap();
    let evidence = [
        format!("{HOSTILE} at https://hooks.example/{hook}"),
        "best 1000 for 5m".to_owned(),
    ];
    let described = serde_json::json!({
        "id": ID, "at": "2026-11-29T10:17:43Z", "cause": "frozen", "action": "restart", "evidence": evidence,
        "helped": true, "version": "0.1.0",
    });
    let inspect = serde_json::json!({"Config": {"Env": [format!("ANYTHING={env}")],
        "Cmd": ["node", "--custom-flag", argument], "Labels": {"x": HOSTILE}}});
    let status = serde_json::json!({"schema": 1, "summary": format!("stands {HOSTILE}"), "health": "critical"});
    let sample = r#"{"t":1.0,"event":"sample","chain":"parachain","best":1000,"target":2000}"#;
    for (name, text) in [
        ("incident.json", described.to_string()),
        (
            "container.log",
            format!("Authorization: Bearer {bearer}\npassword={log} {HOSTILE}\nthe very last line\n"),
        ),
        (
            "flight.jsonl",
            format!("{sample}\n{{\"t\":2.0,\"event\":\"log\",\"log\":[\"password={log}\"]}}\n"),
        ),
        ("inspect.json", inspect.to_string()),
        (
            "parachain.prom",
            format!("height{{status=\"best\",x=\"{HOSTILE}\"}} 1000\n"),
        ),
        ("status.json", status.to_string()),
        ("host.json", "{\"disk_free_bytes\": 5, broken".to_owned()),
    ] {
        fs::write(incident.join(name), text).unwrap();
    }
}

/// Runs it in a directory of its own.
fn report(sandbox: &Sandbox, dir: &Path, words: &[&str]) -> Finished {
    finish(sandbox.command(words).current_dir(dir))
}

fn check(html: &str) {
    for secret in SECRETS {
        assert!(!html.contains(secret), "{secret} in {html}");
    }
    for markup in [
        "<script",
        "<img",
        "</pre></",
        "onerror=alert(2)>",
        "src=\"",
        "href=",
        "http-equiv=\"refresh",
    ] {
        assert!(!html.contains(markup), "{markup} in {html}");
    }
    assert!(
        html.contains("default-src 'none'") && html.starts_with("<!doctype html>"),
        "{html}"
    );
}

#[test]
fn report_has_everything_of_an_incident_without_secrets_or_markup() {
    let sandbox = Sandbox::new();
    plant(&sandbox);
    sandbox.start_agent(Health::Degraded);
    let done = report(&sandbox, sandbox.dir.path(), &["report", ID, "--output", "-"]);
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{done:?}");
    check(&done.out);
    for text in [
        ID,
        "2026-11-29T10:17:43Z",
        "best 1000 for 5m",
        "parachain: from 1000 to 2000",
        "&lt;/pre&gt;&lt;/script&gt;&lt;script&gt;alert(1)",
        "CRITICAL: stands",
        "the very last line",
        "password=[redacted]",
        "&quot;RUST_LOG&quot;: &quot;info&quot;",
        "&quot;ANYTHING&quot;: &quot;[redacted]&quot;",
        "--custom-flag",
        "https://hooks.example/[redacted]",
        "disk_free_bytes",
        "<summary>parachain.prom</summary>",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(done.out.contains(text), "{text} not in {}", done.out);
    }
    // The same for the newest, as which it is the only one.
    let newest = report(&sandbox, sandbox.dir.path(), &["report", "--output", "-"]);
    assert!(newest.out.contains(ID), "{newest:?}");
}

#[test]
fn report_is_written_to_a_new_file_and_over_nothing() {
    let sandbox = Sandbox::new();
    plant(&sandbox);
    let dir = tempfile::tempdir().unwrap();
    let name = format!("t0rn-agent-{ID}.html");
    let done = report(&sandbox, dir.path(), &["report"]);
    assert!(done.code == 0 && done.out.starts_with(&format!("{name}: ")), "{done:?}");
    let html = fs::read_to_string(dir.path().join(&name)).unwrap();
    check(&html);
    assert!(html.contains("The agent does not answer"), "{html}");

    let again = report(&sandbox, dir.path(), &["report"]);
    assert!(again.code == 1 && again.err.contains("--output"), "{again:?}");
    let precious = dir.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, dir.path().join("link")).unwrap();
    let over = report(&sandbox, dir.path(), &["report", "--output", "link"]);
    assert_eq!(
        (over.code, fs::read_to_string(precious).unwrap().as_str()),
        (1, "precious"),
        "{over:?}"
    );
}

#[test]
fn report_without_an_incident_has_what_there_is() {
    let sandbox = Sandbox::new();
    let dir = tempfile::tempdir().unwrap();
    let done = report(&sandbox, dir.path(), &["report", "-o", "-"]);
    assert!(done.code == 0 && done.out.contains("No incident is kept"), "{done:?}");
    let unknown = report(&sandbox, dir.path(), &["report", "20261122T225000Z-stalled"]);
    assert!(
        unknown.code == 1 && unknown.err.contains("incidents list"),
        "{unknown:?}"
    );
    fs::write(sandbox.config(), "[collator\nimage = 'hunter22'\n").unwrap();
    let broken = report(&sandbox, dir.path(), &["report", "-o", "-"]);
    assert!(
        broken.code == 0 && !broken.out.contains("hunter22") && broken.out.contains("config check"),
        "{broken:?}"
    );
    fs::remove_file(sandbox.config()).unwrap();
    let missing = report(&sandbox, dir.path(), &["report", "-o", "-"]);
    assert!(
        missing.code == 0 && missing.out.contains("agent.toml: No such file"),
        "{missing:?}"
    );
}
