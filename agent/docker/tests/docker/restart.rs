//! The engine itself goes away and comes back: one of our own, so that no other is harmed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agent_core::event::Container;
use agent_docker::{EngineEvent, EngineTimeouts};
use rustix::process::{Pid, Signal, kill_process};

use crate::engine::{Watch, World, permit, skip};

struct Engine {
    process: Child,
    dir: PathBuf,
}

impl Engine {
    /// `None`, with the reason printed, where none is installed or may be started.
    async fn start(dir: &Path) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skip("only root can start an engine");
            return None;
        }
        if Command::new("dockerd").arg("--version").output().is_err() {
            skip("dockerd is not installed");
            return None;
        }
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(dir.join("log"))
            .unwrap();
        // In a network namespace of its own: with `--bridge=none` dockerd deletes `docker0`, whichever engine made it
        // (`removeDefaultBridgeInterface` in daemon/daemon_unix.go of moby).
        let process = Command::new("unshare")
            .args(["--net", "--", "dockerd", "--bridge=none"])
            .args(["--iptables=false", "--ip6tables=false"])
            .arg("--data-root")
            .arg(dir.join("data"))
            .arg("--exec-root")
            .arg(dir.join("exec"))
            .arg("--pidfile")
            .arg(dir.join("pid"))
            .arg("--host")
            .arg(format!("unix://{}", socket(dir).display()))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut engine = Self {
            process,
            dir: dir.to_owned(),
        };
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let up = bollard::Docker::connect_with_unix(socket(dir).to_str().unwrap(), 5, bollard::API_DEFAULT_VERSION);
            if let Ok(up) = up
                && up.ping().await.is_ok()
            {
                return Some(engine);
            }
            if engine.process.try_wait().unwrap().is_some() {
                break;
            }
        }
        let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
        panic!("dockerd does not start: {}", log.lines().last().unwrap_or_default());
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.process.wait().unwrap();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(Signal::CONT);
            self.stop();
        }
        let _ = Command::new("umount")
            .arg(self.dir.join("exec/netns/default"))
            .stderr(Stdio::null())
            .status();
    }
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("docker.sock")
}

#[tokio::test]
async fn engine_restart_or_freeze_is_no_stop_by_a_person() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut engine) = Engine::start(dir.path()).await else {
        return;
    };
    let Some(world) = World::at(&socket(dir.path())).await else {
        return;
    };
    let limits = EngineTimeouts {
        ping: Duration::from_secs(1),
        ping_every: Duration::from_secs(1),
        ..EngineTimeouts::default()
    };
    let docker = world.docker().with_limits(limits);
    docker.ensure_running(&permit()).await.unwrap();
    let mut watch = Watch::of(&docker);
    let first = watch.running().await;
    let outage = |n: &EngineEvent| matches!(n, EngineEvent::Unreachable { .. }).then_some(());
    let back = |n: &EngineEvent| matches!(n, EngineEvent::Reachable { .. }).then_some(());

    engine.signal(Signal::STOP);
    watch.until("frozen engine", outage).await;
    engine.signal(Signal::CONT);
    watch.until("thawed engine", back).await;
    assert_eq!(watch.running().await, first, "the container ran on");

    engine.stop();
    watch.until("engine going down", outage).await;
    engine = Engine::start(dir.path()).await.unwrap();
    watch.until("engine coming back", back).await;
    let second = watch.running().await;
    assert!(second > first, "Docker's policy started it again");
    let blamed = |n: &EngineEvent| {
        matches!(
            n,
            EngineEvent::Container(Container::Stopped { .. } | Container::Removed { .. })
        )
    };
    assert!(!watch.seen().iter().any(blamed), "{:#?}", watch.seen());
    drop(world);
    drop(engine);
}
