//! Which way the command's requests take: proxies of the environment, and redirects that are not followed.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use agent_net::http::fake::serve_tls;

const IDENTITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/localhost.pem");

/// A proxy that refuses everything. Returns its address, and the first line of each request.
fn proxy() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (seen, requests) = mpsc::channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            let _ = BufReader::new(&stream).read_line(&mut line);
            let _ = seen.send(line.trim_end().to_owned());
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (address, requests)
}

/// The binary with an empty environment but for its configuration, which ends with `more`.
fn command(dir: &Path, more: &str, words: &[&str]) -> Command {
    let config = dir.join("agent.toml");
    let at = dir.display();
    let text = format!(
        "[agent]\nsocket = '{at}/agent.sock'\ndocker = '{at}/no-docker.sock'\nstate_dir = '{at}/state'\n\
         [collator]\nimage = 'x'\n{more}"
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_t0rn-agent"));
    command.env_clear().env("T0RN_AGENT_CONFIG", config).args(words);
    command
}

/// What a command says, which has to fail.
fn failed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn webhooks_and_downloads_go_through_the_proxy_of_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let (address, requests) = proxy();
    let aws = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    for (webhook, words, expected) in [
        (
            "http://hook.test/x",
            &["notify", "test"][..],
            "POST http://hook.test/x HTTP/1.1",
        ),
        (
            "https://hook.test/x",
            &["notify", "test"],
            "CONNECT hook.test:443 HTTP/1.1",
        ),
        (
            "http://hook.test/x",
            &["snapshot", "verify", "http://data.test/x"],
            "GET http://data.test/x HTTP/1.1",
        ),
        (
            "http://hook.test/x",
            &["snapshot", "verify", "https://data.test/x"],
            "CONNECT data.test:443 HTTP/1.1",
        ),
        (
            "http://hook.test/x",
            &["snapshot", "verify", "s3://bucket/x"],
            "CONNECT bucket.s3.eu-west-1.amazonaws.com:443 HTTP/1.1",
        ),
    ] {
        let more = format!("[notify]\nwebhook = '{webhook}'\n");
        let mut command = command(dir.path(), &more, words);
        command.envs(aws).env("SSL_CERT_FILE", IDENTITY);
        failed(command.env("HTTP_PROXY", &address).env("HTTPS_PROXY", &address));
        assert_eq!(requests.try_recv().as_deref(), Ok(expected), "{words:?}");
        failed(command.env("NO_PROXY", "hook.test, data.test, amazonaws.com"));
        assert!(requests.try_recv().is_err(), "{words:?}");
    }
}

#[test]
fn socket_exporters_and_metadata_service_are_asked_without_a_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let (address, requests) = proxy();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let imds = format!("[ec2]\nimds = 'http://{}'\n", listener.local_addr().unwrap());
    drop(listener);
    for words in [&["status"][..], &["check"], &["snapshot", "verify", "s3://bucket/x"]] {
        let mut command = command(dir.path(), &imds, words);
        failed(command.env("HTTP_PROXY", &address).env("http_proxy", &address));
        assert!(requests.try_recv().is_err(), "{words:?}");
    }
}

#[test]
fn a_download_is_not_led_from_https_to_http() {
    let dir = tempfile::tempdir().unwrap();
    let (address, requests) = proxy();
    let found = |to: &str| format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    let port = serve_tls("127.0.0.1", found(&format!("{address}/x")));
    let url = format!("https://localhost:{port}/x");
    let mut command = command(dir.path(), "", &["snapshot", "verify", &url]);
    let said = failed(command.env("SSL_CERT_FILE", IDENTITY));
    assert!(said.contains("leads from https to http"), "{said}");
    assert!(requests.try_recv().is_err());
}

#[test]
fn restore_by_plain_http_needs_a_key_or_a_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let (address, requests) = proxy();
    let restore = |more: &[&str]| {
        let words = [&["snapshot", "restore", "http://data.test/x"], more].concat();
        let mut command = command(dir.path(), "", &words);
        failed(command.env("HTTP_PROXY", &address))
    };
    let said = restore(&[]);
    assert!(
        said.contains("--public-key") && said.contains("http://data.test/x"),
        "{said}"
    );
    assert!(requests.try_recv().is_err());
    for checked in [["--sha256", &"0".repeat(64)], ["--public-key", "/nonexistent"]] {
        assert!(!restore(&checked).contains("anybody on the way"), "{checked:?}");
    }
}
