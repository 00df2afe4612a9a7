//! A Docker engine: the one that all tests share, or one that a test may stop and start.

use std::env;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::ports::Reservation;
use crate::wait;

const START: Duration = Duration::from_mins(1);
/// File with the process id of containerd, below an engine's directory.
const CONTAINERD: &str = "exec/containerd/containerd.pid";

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    dir: TempDir,
    child: Mutex<Option<Child>>,
    bridge: String,
    /// Held for as long as the bridge has an address of it.
    _subnet: Reservation,
    live_restore: bool,
}

impl Engine {
    /// The engine that this run was given, see `tests/tools/with-engine.sh`.
    ///
    /// # Errors
    /// None answers, or the bridge of its containers is gone.
    pub fn shared() -> Result<Self> {
        let host = env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let socket = host
            .strip_prefix("unix://")
            .context("DOCKER_HOST has to be a unix socket")?;
        let engine = Self {
            socket: socket.into(),
            own: None,
        };
        engine
            .docker(["version", "--format", "{{.Server.Version}}"])
            .with_context(|| format!("no Docker engine at {host}: run the tests through tests/tools/with-engine.sh"))?;
        if let Ok(bridge) = env::var("T0RN_TEST_BRIDGE") {
            ensure!(
                has_interface(&bridge)?,
                "{bridge}, the bridge of the shared engine, is gone: something in this network namespace deleted it, \
                 as dockerd does with --bridge=none"
            );
        }
        Ok(engine)
    }

    /// An engine of its own, to be stopped and started at will; gone with the value. Its containers reach nothing but
    /// the host. With `live_restore` they outlive the daemon.
    ///
    /// # Errors
    /// It does not come up.
    pub fn private(live_restore: bool) -> Result<Self> {
        let subnet = Reservation::of("subnets", 0..256, no_bridge)?;
        let bridge = bridge(subnet.number());
        let dir = tempfile::Builder::new().prefix("engine").tempdir()?;
        let address = format!("10.214.{}.1/24", subnet.number());
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        ip(&["address", "add", &address, "dev", &bridge])?;
        let socket = dir.path().join("docker.sock");
        let engine = Self {
            socket,
            own: Some(Own {
                dir,
                child: Mutex::new(None),
                bridge,
                _subnet: subnet,
                live_restore,
            }),
        };
        engine.start()?;
        Ok(engine)
    }

    /// The unix socket on which it answers.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs the Docker client, and gives what it prints.
    ///
    /// # Errors
    /// The client failed: its standard error.
    pub fn docker<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<String> {
        let args: Vec<_> = args.into_iter().collect();
        let output = self.try_docker(args.iter().copied())?;
        ensure!(
            output.status.success(),
            "docker {} failed with {}: {}",
            args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim(),
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs the Docker client, whatever comes of it, for at most two minutes.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn try_docker<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<Output> {
        wait::run(120, self.command().args(args))
    }

    /// The Docker client for this engine.
    pub fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", format!("unix://{}", self.socket.display()));
        command
    }

    /// What Docker says about a container, `None` when there is none of that name.
    ///
    /// Asked on the socket, because tests ask often and the client costs ten times as much.
    ///
    /// # Errors
    /// The engine does not answer within ten seconds.
    pub fn inspect(&self, container: &str) -> Result<Option<Value>> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        // HTTP/1.0: the answer ends with the connection.
        write!(
            stream,
            "GET /containers/{container}/json HTTP/1.0\r\nhost: docker\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer from Docker")?;
        match head.split_whitespace().nth(1) {
            Some("200") => Ok(Some(serde_json::from_str(body)?)),
            Some("404") => Ok(None),
            _ => bail!("docker inspect {container}: {answer}"),
        }
    }

    /// Starts a private engine again.
    ///
    /// # Errors
    /// It does not come up within a minute.
    pub fn start(&self) -> Result<()> {
        let own = self.own.as_ref().context("the shared engine is not ours to start")?;
        let dir = own.dir.path();
        let log = File::options()
            .create(true)
            .append(true)
            .open(dir.join("dockerd.log"))?;
        let mut command = Command::new("dockerd");
        command
            .arg("--data-root")
            .arg(dir.join("data"))
            .arg("--exec-root")
            .arg(dir.join("exec"))
            .arg("-p")
            .arg(dir.join("dockerd.pid"))
            .arg("-H")
            .arg(format!("unix://{}", self.socket.display()))
            .args(["--bridge", &own.bridge])
            // Its rules would replace those of the engine next to it; published ports go through docker-proxy.
            .args(["--iptables=false", "--ip-forward=false", "--ip-masq=false"])
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null());
        if own.live_restore {
            command.arg("--live-restore");
        }
        *own.child() = Some(command.spawn().context("failed to start dockerd")?);
        wait::until("dockerd to answer", START, || {
            self.docker(["version", "--format", "{{.Server.Version}}"])
        })?;
        Ok(())
    }

    /// Stops a private engine as an administrator does.
    ///
    /// # Errors
    /// It does not end within a minute.
    pub fn stop(&self) -> Result<()> {
        self.end(Signal::TERM)
    }

    /// Kills a private engine's daemon; its containers run on.
    ///
    /// # Errors
    /// It does not end within a minute.
    pub fn kill(&self) -> Result<()> {
        self.end(Signal::KILL)
    }

    /// The process id of a private engine's daemon.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self) -> Result<i32> {
        let child = self
            .own
            .as_ref()
            .context("the shared engine has no known daemon")?
            .child();
        Ok(i32::try_from(child.as_ref().context("dockerd does not run")?.id())?)
    }

    /// The process id of a private engine's containerd.
    ///
    /// # Errors
    /// It does not run.
    pub fn containerd(&self) -> Result<i32> {
        let own = self.own.as_ref().context("the shared engine has no known containerd")?;
        let file = own.dir.path().join(CONTAINERD);
        Ok(fs::read_to_string(file)?.trim().parse()?)
    }

    /// Whether dockerd and containerd speak with each other: dockerd asks it for its version.
    ///
    /// # Errors
    /// They do not.
    pub fn reaches_containerd(&self) -> Result<()> {
        let components = self.docker(["version", "--format", "{{range .Server.Components}}{{.Name}} {{end}}"])?;
        ensure!(
            components.contains("containerd"),
            "dockerd has no connection to containerd: {components}"
        );
        Ok(())
    }

    /// The interface of a private engine's default network.
    ///
    /// # Errors
    /// The engine is shared.
    pub fn bridge(&self) -> Result<&str> {
        let own = self
            .own
            .as_ref()
            .context("the bridge of the shared engine is not ours")?;
        Ok(&own.bridge)
    }

    fn end(&self, signal: Signal) -> Result<()> {
        let own = self.own.as_ref().context("the shared engine is not ours to stop")?;
        let Some(mut child) = own.child().take() else {
            bail!("dockerd does not run")
        };
        kill_process(Pid::from_child(&child), signal)?;
        wait::exit(&mut child, START)?;
        Ok(())
    }
}

impl Own {
    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Some(own) = &self.own else {
            return;
        };
        // Whatever fails here is reported by what stays behind; a drop has nobody to tell.
        if own.child().is_none() {
            let _ = self.start();
        }
        if let Ok(containers) = self.docker(["ps", "-aq"]) {
            let _ = self.docker(["rm", "-fv"].into_iter().chain(containers.split_whitespace()));
        }
        let _ = self.stop();
        if let Some(mut child) = own.child().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Without its parent, when that was killed.
        let containerd = fs::read_to_string(own.dir.path().join(CONTAINERD));
        if let Some(pid) = containerd
            .ok()
            .and_then(|t| t.trim().parse().ok())
            .and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = ip(&["link", "delete", &own.bridge]);
    }
}

/// Whether a subnet's bridge is not left over from a test that was killed.
fn no_bridge(subnet: u16) -> bool {
    has_interface(&bridge(subnet)).is_ok_and(|there| !there)
}

/// Whether this network namespace has an interface of that name. `/sys` would show those of the namespace in which it
/// was mounted.
fn has_interface(name: &str) -> Result<bool> {
    let interfaces = fs::read_to_string("/proc/self/net/dev")?;
    let mut names = interfaces.lines().filter_map(|line| line.split_once(':'));
    Ok(names.any(|(interface, _)| interface.trim() == name))
}

fn bridge(subnet: u16) -> String {
    format!("t0rn-test-{subnet}")
}

fn ip(args: &[&str]) -> Result<()> {
    let output = wait::run(10, Command::new("ip").args(args))?;
    ensure!(
        output.status.success(),
        "ip {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
