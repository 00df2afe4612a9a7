//! Runs the binary in a sandbox of its own, with or without an agent.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use agent_config::Config;
use agent_core::machine::CommandError;
use agent_core::published::AgentSnapshot;
use agent_core::status::{Health, Status};
use agent_daemon::api::{self, ConfigHandle, Handle};
use agent_daemon::supervisor::KnownSecrets;
use agent_docker::Docker;
use tokio::sync::{mpsc, watch};

/// A directory with a configuration, for one agent.
pub(crate) struct Sandbox {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) socket: PathBuf,
}

/// Result of a command.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("agent.toml")
    }

    /// The binary, with nothing in its environment but the configuration.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_t0rn-agent"));
        command
            .env_clear()
            .env("T0RN_AGENT_CONFIG", self.config())
            .args(words)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Finished {
        finish(&mut self.command(words))
    }

    /// Starts an agent that reports `health`, and declines every command but `resume`.
    pub(crate) fn start_agent(&self, health: Health) {
        let config = Config::load(&self.config()).unwrap();
        let docker = Docker::new(&config).unwrap();
        let (send, mut commands) = mpsc::channel::<api::CommandRequest>(1);
        let (status, seen) = watch::channel(Arc::new(AgentSnapshot::of(
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
                let listener = api::bind(&config.agent.socket, "no-such-group").await.unwrap();
                ready.send(()).unwrap();
                tokio::spawn(async move {
                    while let Some(request) = commands.recv().await {
                        let resume = request.command == agent_core::event::Command::Resume;
                        let reply = if resume {
                            Ok("resumed".to_owned())
                        } else {
                            Err(CommandError("on hold: restore the database first".to_owned()))
                        };
                        let _ = request.reply.send(reply);
                    }
                    drop(status);
                });
                let handle = Handle {
                    snapshot: seen,
                    commands: send,
                    secrets: KnownSecrets::none(&docker),
                    config: ConfigHandle::none(),
                    docker,
                };
                api::serve(listener, handle, std::future::pending()).await;
            });
        });
        is_ready.recv().unwrap();
    }
}

pub(crate) fn finish(command: &mut Command) -> Finished {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Finished {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
