//! Commands to an agent, and what they do when it is missing, hangs or may not be asked.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use strum::VariantArray as _;

use agent_core::status::{Health, Status};

use crate::harness::{Sandbox, finish, is_root};

#[test]
fn status_exits_with_health() {
    for health in Health::VARIANTS {
        let sandbox = Sandbox::new();
        sandbox.start_agent(*health);
        let done = sandbox.run(&["status"]);
        assert_eq!(done.code, i32::from(health.exit_code()), "{done:?}");
        assert!(done.out.starts_with(&health.into_str().to_uppercase()), "{done:?}");
        assert_eq!(done.err, "");
    }
}

#[test]
fn status_without_agent_says_so_first_and_exits_3() {
    let sandbox = Sandbox::new();
    let done = sandbox.run(&["status"]);
    assert_eq!(done.code, 3, "{done:?}");
    let first = done.out.lines().next().unwrap();
    assert!(
        first.starts_with("UNKNOWN: no agent is running (see: systemctl status t0rn-agent)"),
        "{first}"
    );
    assert!(done.out.contains("no-docker.sock"), "{done:?}");
}

#[test]
fn status_json_without_agent_is_a_status() {
    let sandbox = Sandbox::new();
    let done = sandbox.run(&["status", "--json"]);
    assert_eq!((done.code, done.out.lines().count()), (3, 1), "{done:?}");
    let status: Status = serde_json::from_str(&done.out).unwrap();
    assert_eq!((status.health, status.phase), (Health::Unknown, None));
    assert!(status.summary.starts_with("no agent is running"));
}

#[test]
fn other_commands_without_agent_exit_3_with_one_line() {
    let sandbox = Sandbox::new();
    for words in [
        &["logs"][..],
        &["logs", "-f"],
        &["restart"],
        &["stop"],
        &["start"],
        &["pause", "--for", "1h", "--reason", "test"],
        &["resume"],
    ] {
        let done = sandbox.run(words);
        assert_eq!(
            (done.code, done.out.as_str(), done.err.lines().count()),
            (3, "", 1),
            "{done:?}"
        );
        assert!(done.err.starts_with("error: no agent is running (see: "), "{done:?}");
    }
}

#[test]
fn command_with_json_prints_the_reply_as_one_document() {
    let sandbox = Sandbox::new();
    sandbox.start_agent(Health::Ok);
    let done = sandbox.run(&["resume", "--json"]);
    assert_eq!(
        (done.code, done.out.as_str()),
        (0, "{\"schema\":1,\"reply\":\"resumed\"}\n"),
        "{done:?}"
    );
    let done = sandbox.run(&["stop", "--json"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
    assert!(done.err.contains("on hold: restore the database first"), "{done:?}");
}

#[test]
fn stale_socket_is_no_agent() {
    let sandbox = Sandbox::new();
    drop(UnixListener::bind(&sandbox.socket).unwrap());
    let done = sandbox.run(&["status"]);
    assert_eq!(done.code, 3);
    assert!(done.out.contains("nothing listens on"), "{done:?}");
    let done = sandbox.run(&["stop"]);
    assert!(done.code == 3 && done.err.contains("nothing listens on"), "{done:?}");
}

#[test]
fn status_of_hanging_agent_exits_3() {
    let sandbox = Sandbox::new();
    let _deaf = UnixListener::bind(&sandbox.socket).unwrap();
    let done = sandbox.run(&["status"]);
    assert_eq!(done.code, 3);
    assert!(
        done.out
            .starts_with("UNKNOWN: the agent hangs (try: systemctl restart t0rn-agent"),
        "{done:?}"
    );
}

#[test]
fn commands_without_permission_name_the_remedy() {
    if !is_root() {
        // Another user is needed, and only root can become one.
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.start_agent(Health::Ok);
    let binary = sandbox.dir.path().join("t0rn-agent");
    fs::copy(env!("CARGO_BIN_EXE_t0rn-agent"), &binary).unwrap();
    let nobody = |words: &[&str]| {
        let mut command = Command::new(&binary);
        finish(
            command
                .env_clear()
                .env("T0RN_AGENT_CONFIG", sandbox.config())
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

    let incidents = sandbox.dir.path().join("state/incidents");
    fs::create_dir_all(&incidents).unwrap();
    fs::set_permissions(&incidents, Permissions::from_mode(0o700)).unwrap();
    let done = nobody(&["incidents"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
    assert!(done.err.contains("; use sudo: "), "{done:?}");
}

#[test]
fn command_prints_the_agents_answer_or_error() {
    let sandbox = Sandbox::new();
    sandbox.start_agent(Health::Ok);
    let done = sandbox.run(&["resume"]);
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (0, "resumed\n", ""));
    let done = sandbox.run(&["start"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""));
    assert_eq!(done.err, "error: on hold: restore the database first\n");
    let done = sandbox.run(&["logs"]);
    assert!(done.code == 1 && done.err.contains("no-docker.sock"), "{done:?}");
}

#[test]
fn broken_configuration_with_named_socket_reaches_agent() {
    let sandbox = Sandbox::new();
    sandbox.start_agent(Health::Degraded);
    fs::write(sandbox.config(), "broken").unwrap();
    let socket = sandbox.socket.to_str().unwrap();
    let done = sandbox.run(&["status", "--socket", socket]);
    assert_eq!((done.code, done.err.as_str()), (1, ""), "{done:?}");
    let mut command = sandbox.command(&["resume"]);
    let done = finish(command.env("T0RN_AGENT_SOCKET", socket));
    assert_eq!((done.code, done.out.as_str()), (0, "resumed\n"));
}

#[test]
fn unusable_named_configuration_warns() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.config(), "broken").unwrap();
    // Only asks: on a host with an agent the default socket is that agent's.
    let done = sandbox.run(&["status"]);
    assert!(done.err.contains("t0rn-agent config check"), "{done:?}");
}

#[test]
fn status_watch_runs_until_interrupted() {
    let sandbox = Sandbox::new();
    sandbox.start_agent(Health::Ok);
    let mut child = sandbox
        .command(&["status", "--watch", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.take(2).map_while(Result::ok).count(), 2);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    assert!(!child.wait().unwrap().success());
}
