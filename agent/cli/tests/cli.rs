//! The binary as operators and scripts use it: exit codes, streams, and what it says when things are missing.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use agent_config::Config;
use agent_core::published::Snapshot;
use agent_core::status::{Health, Status};
use agent_daemon::api::{self, Handle};
use agent_docker::Docker;
use tokio::sync::{mpsc, watch};

struct Place {
    dir: tempfile::TempDir,
    socket: PathBuf,
}

/// What a command did.
#[derive(Debug)]
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let socket = dir.path().join("agent.sock");
        let at = dir.path().display();
        let text = format!(
            "[agent]\nsocket = '{at}/agent.sock'\ndocker = '{at}/no-docker.sock'\n\
             state_dir = '{at}/state'\n[collator]\nimage = 'x'\n"
        );
        fs::write(dir.path().join("agent.toml"), text).unwrap();
        Self { dir, socket }
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("agent.toml")
    }

    /// The binary with an empty environment but for the configuration.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_t0rn-agent"));
        command
            .env_clear()
            .env("T0RN_AGENT_CONFIG", self.config())
            .args(words)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Done {
        finish(&mut self.command(words))
    }

    /// An agent that reports `health` and declines whatever it is told but to resume.
    fn agent(&self, health: Health) {
        let config = Config::load(&self.config()).unwrap();
        let docker = Docker::new(&config).unwrap();
        let (send, mut commands) = mpsc::channel::<api::Request>(1);
        let (status, seen) = watch::channel(Arc::new(Snapshot::of(
            Status {
                health,
                ..Status::default()
            },
            jiff::Timestamp::now(),
            std::time::Instant::now(),
        )));
        let (ready, is_ready) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = api::bind(&config.agent.socket, "no-such-group").unwrap();
                ready.send(()).unwrap();
                tokio::spawn(async move {
                    while let Some(request) = commands.recv().await {
                        let resume = request.command == agent_core::event::Command::Resume;
                        let words = if resume {
                            Ok("resumed")
                        } else {
                            Err("on hold: restore the database first")
                        };
                        let _ = request.reply.send(words.map(Into::into).map_err(Into::into));
                    }
                    drop(status);
                });
                let handle = Handle {
                    snapshot: seen,
                    commands: send,
                    docker,
                };
                api::serve(listener, handle, std::future::pending()).await;
            });
        });
        is_ready.recv().unwrap();
    }
}

fn finish(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn status_exits_with_the_health() {
    for health in Health::ALL {
        let place = Place::new();
        place.agent(*health);
        let done = place.run(&["status"]);
        assert_eq!(done.code, i32::from(health.exit_code()), "{done:?}");
        assert!(done.out.starts_with(&health.name().to_uppercase()), "{done:?}");
        assert_eq!(done.err, "");
    }
}

#[test]
fn without_an_agent_status_says_so_first_and_exits_3() {
    let place = Place::new();
    let done = place.run(&["status"]);
    assert_eq!(done.code, 3, "{done:?}");
    let first = done.out.lines().next().unwrap();
    assert!(
        first.starts_with("UNKNOWN: no agent is running (see: systemctl status t0rn-agent)"),
        "{first}"
    );
    assert!(done.out.contains("no-docker.sock"), "{done:?}");
}

#[test]
fn without_an_agent_status_json_is_still_a_status() {
    let place = Place::new();
    let done = place.run(&["status", "--json"]);
    assert_eq!((done.code, done.out.lines().count()), (3, 1), "{done:?}");
    let status: Status = serde_json::from_str(&done.out).unwrap();
    assert_eq!((status.health, status.phase), (Health::Unknown, None));
    assert!(status.summary.starts_with("no agent is running"));
}

#[test]
fn without_an_agent_every_other_command_exits_3_with_one_line() {
    let place = Place::new();
    for words in [
        &["logs"][..],
        &["logs", "-f"],
        &["restart"],
        &["stop"],
        &["start"],
        &["pause", "--for", "1h", "--reason", "test"],
        &["resume"],
    ] {
        let done = place.run(words);
        assert_eq!(
            (done.code, done.out.as_str(), done.err.lines().count()),
            (3, "", 1),
            "{done:?}"
        );
        assert!(done.err.starts_with("error: no agent is running (see: "), "{done:?}");
    }
}

#[test]
fn a_socket_left_behind_is_no_agent() {
    let place = Place::new();
    drop(UnixListener::bind(&place.socket).unwrap());
    let done = place.run(&["status"]);
    assert_eq!(done.code, 3);
    assert!(done.out.contains("nobody listens on"), "{done:?}");
    let done = place.run(&["stop"]);
    assert!(done.code == 3 && done.err.contains("nobody listens on"), "{done:?}");
}

#[test]
fn an_agent_that_hangs_is_given_up_on() {
    let place = Place::new();
    let _deaf = UnixListener::bind(&place.socket).unwrap();
    let done = place.run(&["status"]);
    assert_eq!(done.code, 3);
    assert!(
        done.out
            .starts_with("UNKNOWN: the agent hangs (try: systemctl restart t0rn-agent"),
        "{done:?}"
    );
}

#[test]
fn without_rights_the_remedy_is_named() {
    if !is_root() {
        // Another user is needed, and only root can become one.
        return;
    }
    let place = Place::new();
    place.agent(Health::Ok);
    let binary = place.dir.path().join("t0rn-agent");
    fs::copy(env!("CARGO_BIN_EXE_t0rn-agent"), &binary).unwrap();
    let nobody = |words: &[&str]| {
        let mut command = Command::new(&binary);
        finish(
            command
                .env_clear()
                .env("T0RN_AGENT_CONFIG", place.config())
                .args(words)
                .uid(65534)
                .gid(65534),
        )
    };
    let done = nobody(&["status"]);
    assert_eq!(done.code, 3);
    let first = "UNKNOWN: no right to talk to the agent (use sudo, or join the group t0rn-agent)";
    assert!(done.out.starts_with(first), "{done:?}");
    assert_eq!(nobody(&["stop"]).code, 3);

    let incidents = place.dir.path().join("state/incidents");
    fs::create_dir_all(&incidents).unwrap();
    fs::set_permissions(&incidents, Permissions::from_mode(0o700)).unwrap();
    let done = nobody(&["incidents"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
    assert!(done.err.contains("; use sudo: "), "{done:?}");
}

#[test]
fn a_command_prints_what_the_agent_says_or_fails_with_it() {
    let place = Place::new();
    place.agent(Health::Ok);
    let done = place.run(&["resume"]);
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (0, "resumed\n", ""));
    let done = place.run(&["start"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""));
    assert_eq!(done.err, "error: on hold: restore the database first\n");
    let done = place.run(&["logs"]);
    assert!(done.code == 1 && done.err.contains("no-docker.sock"), "{done:?}");
}

#[test]
fn a_broken_configuration_does_not_keep_anybody_from_the_agent() {
    let place = Place::new();
    place.agent(Health::Degraded);
    fs::write(place.config(), "broken").unwrap();
    let socket = place.socket.to_str().unwrap();
    let done = place.run(&["status", "--socket", socket]);
    assert_eq!((done.code, done.err.as_str()), (1, ""), "{done:?}");
    let mut command = place.command(&["resume"]);
    let done = finish(command.env("T0RN_AGENT_SOCKET", socket));
    assert_eq!((done.code, done.out.as_str()), (0, "resumed\n"));
}

#[test]
fn an_unusable_configuration_that_was_named_is_warned_of() {
    let place = Place::new();
    fs::write(place.config(), "broken").unwrap();
    // Only asks: on a host with an agent the default socket is that agent's.
    let done = place.run(&["status"]);
    assert!(done.err.contains("t0rn-agent config check"), "{done:?}");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let place = Place::new();
    place.agent(Health::Degraded);
    for (words, code) in [
        (&["status"][..], 1),
        (&["status", "--watch"], 1),
        (&["resume"], 0),
        (&["config", "default"], 0),
        (&["completions", "bash"], 0),
        (&["incidents"], 0),
        (&["--help"], 0),
        (&["--version"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = finish(place.command(words).stdout(writer));
        assert_eq!((done.code, done.err.as_str()), (code, ""), "{words:?}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let done = finish(place.command(&["config", "default"]).stdout(full));
    assert_eq!(done.code, 1);
    assert!(done.err.starts_with("error: cannot write the output: "), "{done:?}");
}

#[test]
fn watching_goes_on_until_it_is_ended() {
    let place = Place::new();
    place.agent(Health::Ok);
    let mut child = place
        .command(&["status", "--watch", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.take(2).map_while(Result::ok).count(), 2);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    assert!(!child.wait().unwrap().success());
}

#[test]
fn usage_and_configuration_errors_exit_2() {
    let place = Place::new();
    for words in [
        &["explode"][..],
        &[],
        &["logs", "-n", "many"],
        &["pause", "--for", "2 hats", "--reason", "x"],
    ] {
        let done = place.run(words);
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{done:?}");
    }
    fs::write(place.config(), "[collator]\nimage = 5\ncontainer = 6\n").unwrap();
    for words in [&["config", "check"][..], &["run"]] {
        let done = place.run(words);
        assert_eq!((done.code, done.err.lines().count()), (2, 2), "{done:?}");
        assert!(
            done.err
                .lines()
                .all(|line| line.starts_with("error: ") && line.contains("agent.toml:"))
        );
    }
}

#[test]
fn notify_test_exits_with_what_became_of_the_message() {
    let place = Place::new();
    let done = place.run(&["notify", "test"]);
    assert_eq!((done.code, done.out.as_str()), (2, ""), "{done:?}");
    assert!(done.err.contains("write its URL to notify.webhook"), "{done:?}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = fs::read_to_string(place.config()).unwrap();
    let webhook = format!(
        "[notify]\nwebhook = 'http://{}/S3CR3T'\n",
        listener.local_addr().unwrap()
    );
    fs::write(place.config(), config + &webhook).unwrap();
    let server = thread::spawn(move || {
        for answer in ["204 No Content", "404 Not Found"] {
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
    let done = place.run(&["notify", "test"]);
    assert_eq!(
        (done.code, done.out.as_str()),
        (0, "the webhook took the message\n"),
        "{done:?}"
    );
    let refused = |reason: &str| {
        let done = place.run(&["notify", "test"]);
        assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
        assert!(done.err.contains(reason) && !done.err.contains("S3CR3T"), "{done:?}");
    };
    refused("404 Not Found: check notify.webhook");
    server.join().unwrap();
    refused("connection refused");
}

#[test]
fn config_check_names_the_file_it_found_good() {
    let place = Place::new();
    let file = place.config();
    let done = place.run(&["config", "check", file.to_str().unwrap()]);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert_eq!(done.out, format!("{}: ok\n", file.display()));
}

#[test]
fn the_default_configuration_it_prints_is_accepted() {
    let place = Place::new();
    fs::write(place.config(), place.run(&["config", "default"]).out).unwrap();
    assert_eq!(place.run(&["config", "check"]).code, 0);
}

#[test]
fn incidents_are_listed_without_an_agent() {
    let place = Place::new();
    let done = place.run(&["incidents"]);
    assert_eq!((done.code, done.out.as_str()), (0, "no incidents\n"));
    assert_eq!(place.run(&["incidents", "--json"]).out, "[]\n");
    let done = place.run(&["incidents", "show", "nothing"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""));
    assert!(done.err.starts_with("error: no incident \"nothing\""), "{done:?}");

    let one = place.dir.path().join("state/incidents/20261122T225000Z-stalled");
    fs::create_dir_all(&one).unwrap();
    let text = r#"{"id": "20261122T225000Z-stalled", "at": "2026-11-22T22:50:00Z", "cause": "stalled",
        "action": "restart", "evidence": [], "helped": true, "version": "0.1.0"}"#;
    fs::write(one.join("incident.json"), text).unwrap();
    let done = place.run(&["incidents", "list"]);
    assert_eq!(
        done.out.split_whitespace().collect::<Vec<_>>(),
        ["20261122T225000Z-stalled", "restart", "helped"]
    );
    let done = place.run(&["incidents", "show", "20261122T225000Z-stalled", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(shown["cause"], "stalled");
    let done = place.run(&["incidents", "show", "20261122T225000Z-stalled"]);
    assert!(
        done.code == 0 && done.out.starts_with("incident 20261122T225000Z-stalled"),
        "{done:?}"
    );
}

#[test]
fn the_journal_gets_no_second_timestamp() {
    let place = Place::new();
    fs::write(place.config(), "broken").unwrap();
    let with = finish(&mut place.command(&["status"]));
    let without = finish(place.command(&["status"]).env("JOURNAL_STREAM", "8:1"));
    assert!(with.err.starts_with("20"), "{with:?}");
    assert!(without.err.trim_start().starts_with("WARN"), "{without:?}");
}
