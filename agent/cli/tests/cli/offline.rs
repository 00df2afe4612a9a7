//! Commands that need no agent.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

use crate::harness::Sandbox;

#[test]
fn notify_test_exits_with_the_webhooks_answer() {
    let sandbox = Sandbox::new();
    let done = sandbox.run(&["notify", "test"]);
    assert_eq!((done.code, done.out.as_str()), (2, ""), "{done:?}");
    assert!(done.err.contains("write its URL to notify.webhook"), "{done:?}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = fs::read_to_string(sandbox.config()).unwrap();
    let webhook = format!(
        "[notify]\nwebhook = 'http://{}/S3CR3T'\n",
        listener.local_addr().unwrap()
    );
    fs::write(sandbox.config(), config + &webhook).unwrap();
    let server = thread::spawn(move || {
        for answer in ["204 No Content", "204 No Content", "404 Not Found"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            write!(
                stream,
                "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            .unwrap();
        }
    });
    let done = sandbox.run(&["notify", "test"]);
    assert_eq!(
        (done.code, done.out.as_str()),
        (0, "the webhook took the message\n"),
        "{done:?}"
    );
    let done = sandbox.run(&["notify", "test", "--json"]);
    let document: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, document), (0, json!({ "schema": 1, "delivered": true })));
    let refused = |reason: &str| {
        let done = sandbox.run(&["notify", "test"]);
        assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
        assert!(done.err.contains(reason) && !done.err.contains("S3CR3T"), "{done:?}");
    };
    refused("404 Not Found: check notify.webhook");
    server.join().unwrap();
    refused("connection refused");
}

#[test]
fn config_check_with_json_prints_every_problem_and_exits_as_without() {
    let sandbox = Sandbox::new();
    let file = sandbox.config();
    let check = || {
        let done = sandbox.run(&["config", "check", "--json"]);
        let document: Value = serde_json::from_str(&done.out).unwrap();
        (done.code, document)
    };
    let valid = json!({ "schema": 1, "file": file, "valid": true, "problems": [] });
    assert_eq!(check(), (0, valid));
    fs::write(&file, "[collator]\nimage = 'x'\nnofil = 5\n").unwrap();
    let problem = json!({
        "line": 3,
        "key": "collator.nofil",
        "found": "unknown key (did you mean `nofile`?)",
        "remedy": "correct or remove it"
    });
    let broken = json!({ "schema": 1, "file": file, "valid": false, "problems": [problem] });
    assert_eq!(check(), (2, broken));
    fs::remove_file(&file).unwrap();
    let (code, missing) = check();
    assert_eq!((code, &missing["problems"][0]["line"]), (2, &Value::Null));
}

#[test]
fn config_schema_is_the_published_one() {
    let sandbox = Sandbox::new();
    let done = sandbox.run(&["config", "schema"]);
    assert_eq!((done.code, done.out.as_str()), (0, agent_config::SCHEMA));
}

#[test]
fn config_check_names_the_valid_file() {
    let sandbox = Sandbox::new();
    let file = sandbox.config();
    let done = sandbox.run(&["config", "check", file.to_str().unwrap()]);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert_eq!(done.out, format!("{}: ok\n", file.display()));
}

#[test]
fn printed_default_configuration_is_valid() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.config(), sandbox.run(&["config", "default"]).out).unwrap();
    assert_eq!(sandbox.run(&["config", "check"]).code, 0);
}

#[test]
fn incident_and_error_cannot_command_the_terminal() {
    let sandbox = Sandbox::new();
    let incident = sandbox.dir.path().join("state/incidents/20261129T101743Z-frozen");
    fs::create_dir_all(&incident).unwrap();
    let described = serde_json::json!({
        "id": "20261129T101743Z-frozen", "at": "2026-11-29T10:17:43Z", "cause": "frozen", "action": "restart",
        "evidence": ["last line: \u{1b}]0;owned\u{7}"], "helped": true, "version": "0.1.0",
    });
    fs::write(incident.join("incident.json"), described.to_string()).unwrap();
    fs::write(incident.join("container.log"), "\u{1b}[2J\u{9b}31mred\rover\n").unwrap();
    let done = sandbox.run(&["incidents", "show", "20261129T101743Z-frozen"]);
    assert!(done.code == 0 && done.out.ends_with("redover\n"), "{done:?}");
    assert!(!done.out.replace('\n', "").contains(char::is_control), "{done:?}");
    let done = sandbox.run(&["bake", "verify", "/nowhere/\u{1b}[2J"]);
    assert!(done.err.contains("/nowhere/"), "{done:?}");
    assert!(!done.err.trim_end().contains(char::is_control), "{done:?}");
}

#[test]
fn incidents_are_shown_without_agent() {
    let sandbox = Sandbox::new();
    let done = sandbox.run(&["incidents"]);
    assert!(
        done.code == 0 && done.out.contains("no agent has run with it"),
        "{done:?}"
    );
    fs::create_dir(sandbox.dir.path().join("state")).unwrap();
    let done = sandbox.run(&["incidents"]);
    assert_eq!((done.code, done.out.as_str()), (0, "no incidents\n"));
    assert_eq!(sandbox.run(&["incidents", "--json"]).out, "[]\n");
    let done = sandbox.run(&["incidents", "show", "nothing"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""));
    assert!(done.err.starts_with("error: no incident \"nothing\""), "{done:?}");

    let one = sandbox.dir.path().join("state/incidents/20261122T225000Z-stalled");
    fs::create_dir_all(&one).unwrap();
    let text = r#"{"id": "20261122T225000Z-stalled", "at": "2026-11-22T22:50:00Z", "cause": "stalled",
        "action": "restart", "evidence": [], "helped": true, "version": "0.1.0"}"#;
    fs::write(one.join("incident.json"), text).unwrap();
    let done = sandbox.run(&["incidents", "list"]);
    assert_eq!(
        done.out.split_whitespace().collect::<Vec<_>>(),
        ["20261122T225000Z-stalled", "restart", "helped"]
    );
    let done = sandbox.run(&["incidents", "show", "20261122T225000Z-stalled", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(shown["cause"], "stalled");
    let done = sandbox.run(&["incidents", "show", "20261122T225000Z-stalled"]);
    assert!(
        done.code == 0 && done.out.starts_with("incident 20261122T225000Z-stalled"),
        "{done:?}"
    );
}
