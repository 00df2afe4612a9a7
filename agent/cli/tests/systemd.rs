//! Messages of the agent to its service manager, over a socket as systemd has one.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than any working step takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// An agent without Docker and exporters, and the socket of its manager.
struct Service {
    agent: Child,
    manager: UnixDatagram,
    dir: TempDir,
}

impl Service {
    fn start(prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        // So slow that nothing but the watchdog wakes the loop.
        let text = format!(
            "[agent]\nsocket = '{at}/agent.sock'\ndocker = '{at}/no-docker.sock'\nstate_dir = '{at}/state'\n\
             [collator]\nimage = 'x'\n[health]\nscrape_interval = '1m'\n[metrics]\nlisten = ''\n"
        );
        fs::write(dir.path().join("agent.toml"), text).unwrap();
        let socket = dir.path().join("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        prepare(&socket);
        let agent = command(dir.path(), "run")
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "300000")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { agent, manager, dir }
    }

    fn hears(&self) -> String {
        let mut message = [0; 4096];
        let length = self.manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    fn hears_until(&self, word: &str) -> String {
        for _ in 0..100 {
            let message = self.hears();
            if message.lines().any(|line| line == word) {
                return message;
            }
        }
        panic!("never heard {word}");
    }

    /// Output of `status`, once the agent answers and has checked Docker.
    fn status(&self) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let output = command(self.dir.path(), "status").output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            if text.contains("docker unreachable") {
                return text;
            }
            assert!(Instant::now() < end, "{text}");
            thread::yield_now();
        }
    }

    fn end(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.agent), Signal::TERM).unwrap();
        let (ended, end) = mpsc::channel();
        let pid = Pid::from_child(&self.agent);
        let watch = thread::spawn(move || {
            if end.recv_timeout(PATIENCE).is_err() {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        let status = self.agent.wait().unwrap();
        let _ = ended.send(());
        watch.join().unwrap();
        status
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

fn command(dir: &Path, word: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_t0rn-agent"));
    command.env_clear().env("T0RN_AGENT_CONFIG", dir.join("agent.toml"));
    command.arg(word).stdin(Stdio::null());
    command
}

#[test]
fn ready_after_socket_and_docker_check() {
    let service = Service::start(|_| {});
    let message = service.hears_until("READY=1");
    assert!(message.contains("STATUS="), "{message}");
    let output = command(service.dir.path(), "status").output().unwrap();
    let status = String::from_utf8(output.stdout).unwrap();
    assert!(status.contains("docker unreachable"), "{status}");
}

#[test]
fn watchdog_and_status_are_sent_while_idle() {
    let service = Service::start(|_| {});
    service.hears_until("READY=1");
    for _ in 0..5 {
        let message = service.hears();
        assert!(message.contains("WATCHDOG=1\n"), "{message}");
        assert!(
            message.contains(&format!("STATUS={}\n", service.status().lines().next().unwrap())),
            "{message}"
        );
    }
}

#[test]
fn stopping_is_sent_at_the_end() {
    let mut service = Service::start(|_| {});
    service.hears_until("READY=1");
    assert_eq!(service.end().code(), Some(0));
    service.hears_until("STOPPING=1");
}

#[test]
fn manager_that_does_not_read_does_not_block() {
    let mut service = Service::start(|socket| {
        let other = UnixDatagram::unbound().unwrap();
        other.connect(socket).unwrap();
        other.set_nonblocking(true).unwrap();
        while other.send(b"x").is_ok() {}
    });
    service.status();
    assert_eq!(service.end().code(), Some(0));
}

#[test]
fn without_manager_nothing_is_sent() {
    let mut service = Service::start(|_| {});
    service.hears_until("READY=1");
    service.agent.kill().unwrap();
    service.agent.wait().unwrap();
    service.manager.set_nonblocking(true).unwrap();
    let mut message = [0; 4096];
    while service.manager.recv(&mut message).is_ok() {}
    service.agent = command(service.dir.path(), "run")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    service.status();
    assert!(service.manager.recv(&mut message).is_err());
    assert_eq!(service.end().code(), Some(0));
}
