#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod client;
mod commands;
mod logs;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::*;
use crate::engine_stub::{Engine, Log};
use crate::server::REQUEST_MAX;
use agent_core::status::{Phase, Status};
use agent_runtime::wall;

/// Far beyond what any of this takes; who waits that long hangs.
const LONG: Duration = Duration::from_mins(1);

struct Agent {
    client: AgentClient,
    socket: PathBuf,
    commands: mpsc::Receiver<CommandRequest>,
    queue: mpsc::Sender<CommandRequest>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    engine: Engine,
    _status: watch::Sender<Arc<AgentSnapshot>>,
    _dir: tempfile::TempDir,
}

async fn agent(log: Log, limits: ServerLimits) -> Agent {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let engine = Engine::start(log);
    let status = Status {
        phase: Some(Phase::Synced),
        summary: "fine".into(),
        ..Status::default()
    };
    let (status, seen) = watch::channel(Arc::new(AgentSnapshot::of(
        status,
        wall::now(),
        std::time::Instant::now(),
    )));
    let (send, commands) = mpsc::channel(1);
    let handle = Handle {
        snapshot: seen,
        commands: send.clone(),
        docker: engine.docker.clone(),
        secrets: KnownSecrets::none(&engine.docker),
        config: ConfigHandle::none(),
    };
    let (stop, stopped) = oneshot::channel();
    let listening = bind(&socket, "root").await.unwrap();
    let listening = listening.examined_every(Duration::from_millis(20));
    let served = tokio::spawn(serve_within(limits, listening, handle, async {
        let _ = stopped.await;
    }));
    let client = AgentClient::new(&socket);
    Agent {
        client,
        socket,
        commands,
        queue: send,
        stop,
        served,
        engine,
        _status: status,
        _dir: dir,
    }
}

impl Agent {
    async fn is_fine(&self) {
        assert_eq!(self.client.status(LONG).await.unwrap().summary, "fine");
    }

    /// Waits until the socket's name is taken again.
    async fn socket_is_back(&self) {
        let is_back = async {
            while !self.socket.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONG, is_back).await.unwrap();
    }

    /// Waits until Docker's log is no longer read.
    async fn log_has_ended(&mut self) {
        timeout(LONG, self.engine.ended.recv()).await.unwrap().unwrap();
    }

    /// Sends `request` and leaves the connection open.
    async fn raw(&self, request: &str) -> UnixStream {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn raw_answer(&self, request: &str) -> String {
        let mut answer = Vec::new();
        // The agent may hang up on a request before it has taken all of it.
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }
}

#[tokio::test]
async fn two_hundred_concurrent_clients_are_served() {
    let agent = agent(Log::Short, limits()).await;
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        let client = agent.client.clone();
        clients.spawn(async move { client.status(LONG).await.unwrap().phase });
    }
    assert_eq!(clients.join_all().await, vec![Some(Phase::Synced); 200]);
}

#[tokio::test]
async fn too_large_request_is_rejected_and_the_next_is_served() {
    let agent = agent(Log::Short, limits()).await;
    let body = "x".repeat(REQUEST_MAX + 1);
    let head = format!(
        "POST /v1/command HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = agent.raw_answer(&(head + &body)).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let head = format!(
        "GET /v1/status HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    let answer = agent.raw_answer(&head).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    agent.is_fine().await;
}

#[tokio::test]
async fn half_open_connections_do_not_lock_others_out() {
    let short = Duration::from_millis(50);
    let agent = agent(
        Log::Short,
        ServerLimits {
            connections: 4,
            head: short,
            request: short,
            ..limits()
        },
    )
    .await;
    let mut open = Vec::new();
    for request in [
        "",
        "GET /v1/st",
        "POST /v1/command HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{",
    ] {
        for _ in 0..8 {
            open.push(agent.raw(request).await);
        }
    }
    agent.is_fine().await;
}

#[tokio::test]
async fn requests_beyond_the_limit_of_connections_wait() {
    let limits = ServerLimits {
        connections: 2,
        ..limits()
    };
    let mut agent = agent(Log::Short, limits).await;
    // One waits for the event loop, one for the rest of its own body.
    let stop = serde_json::to_string(&Command::STOP).unwrap();
    let post = |length: usize, body: &str| {
        format!("POST /v1/command HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let (_one, two) = (
        agent.raw(&post(stop.len(), &stop)).await,
        agent.raw(&post(9, "{")).await,
    );
    let _waiting = agent.commands.recv().await.unwrap();
    let error = agent.client.status(Duration::from_millis(300)).await;
    assert!(matches!(error, Err(ClientError::Hangs { .. })));
    drop(two);
    agent.is_fine().await;
}

#[tokio::test]
async fn idle_clients_give_way_to_those_with_a_request() {
    let limits = ServerLimits {
        head: LONG * 5,
        connection: LONG * 5,
        ..limits()
    };
    let agent = agent(Log::Short, limits).await;
    let mut idle = Vec::new();
    for n in 0..128 {
        idle.push(agent.raw(["", "GET /v1/st"][n % 2]).await);
    }
    agent.is_fine().await;
}

#[tokio::test]
async fn removed_socket_comes_back_and_takes_requests() {
    let agent = agent(Log::Short, limits()).await;
    for _ in 0..2 {
        std::fs::remove_file(&agent.socket).unwrap();
        agent.socket_is_back().await;
        agent.is_fine().await;
    }
    let mode = std::fs::metadata(&agent.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    agent.stop.send(()).unwrap();
    timeout(LONG, agent.served).await.unwrap().unwrap();
    assert!(!agent.socket.exists(), "the new one is removed at the end");
}

#[tokio::test]
async fn socket_of_another_agent_in_its_place_is_left_to_it() {
    let agent = agent(Log::Short, limits()).await;
    std::fs::remove_file(&agent.socket).unwrap();
    let other = UnixListener::bind(&agent.socket).unwrap();
    let inode = || std::fs::metadata(&agent.socket).map(|about| about.ino()).unwrap();
    let before = inode();
    for _ in 0..3 {
        // Each look asks whether it is alive.
        timeout(LONG, other.accept()).await.unwrap().unwrap();
    }
    assert_eq!(inode(), before);
    agent.stop.send(()).unwrap();
    timeout(LONG, agent.served).await.unwrap().unwrap();
    assert_eq!(inode(), before, "nor is it removed at the end");
}
