#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::PathBuf;

use futures_util::TryStreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::*;
use crate::engine_stub::{Engine, Log};
use crate::server::REQUEST_MAX;
use agent_core::status::{Phase, Status};

/// Far beyond what any of this takes; who waits that long hangs.
const LONG: Duration = Duration::from_mins(1);

struct Agent {
    client: Client,
    socket: PathBuf,
    commands: mpsc::Receiver<Request>,
    queue: mpsc::Sender<Request>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    engine: Engine,
    _status: watch::Sender<Arc<AgentSnapshot>>,
    _dir: tempfile::TempDir,
}

fn agent(log: Log, limits: Limits) -> Agent {
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
        Timestamp::now(),
        std::time::Instant::now(),
    )));
    let (send, commands) = mpsc::channel(1);
    let handle = Handle {
        snapshot: seen,
        commands: send.clone(),
        docker: engine.docker.clone(),
    };
    let (stop, stopped) = oneshot::channel();
    let listener = bind(&socket, "root").unwrap();
    let served = tokio::spawn(serve_within(limits, listener, handle, async {
        let _ = stopped.await;
    }));
    let client = Client::new(&socket);
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

    /// Waits until nobody reads Docker's log any more.
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
async fn two_hundred_clients_at_once_are_all_answered() {
    let agent = agent(Log::Short, limits());
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        let client = agent.client.clone();
        clients.spawn(async move { client.status(LONG).await.unwrap().phase });
    }
    assert_eq!(clients.join_all().await, vec![Some(Phase::Synced); 200]);
}

#[tokio::test]
async fn a_command_reaches_who_decides_and_the_words_come_back() {
    let mut agent = agent(Log::Short, limits());
    let given = Command::Pause {
        seconds: 60,
        reason: "a \"test\"".into(),
    };
    for (reply, expected) in [(Ok("paused".to_owned()), true), (Err("on hold".to_owned()), false)] {
        let (answer, ()) = tokio::join!(agent.client.command(&given), async {
            let request = agent.commands.recv().await.unwrap();
            assert_eq!(request.command, given);
            request.reply.send(reply).unwrap();
        });
        match answer {
            Ok(words) => assert!(expected && words == "paused"),
            Err(error) => {
                assert!(!expected && error.to_string() == "on hold" && !error.is_unreachable());
            }
        }
    }
}

#[tokio::test]
async fn a_command_whose_client_was_told_that_it_failed_is_not_carried_out() {
    let mut agent = agent(Log::Short, limits());
    let body = serde_json::to_string(&Command::Stop).unwrap();
    let post = |gives_up: i64| {
        format!(
            "POST /v1/command HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{GIVES_UP}: {gives_up}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let answer = agent.raw_answer(&post(Timestamp::now().as_millisecond() - 1)).await;
    assert!(answer.contains("too late"), "{answer}");
    assert!(agent.commands.try_recv().is_err());
}

#[tokio::test]
async fn a_command_nobody_answers_is_told_so_in_time() {
    let limits = Limits {
        request: Duration::from_millis(50),
        ..limits()
    };
    let mut agent = agent(Log::Short, limits);
    let error = agent.client.command(&Command::Stop).await.unwrap_err();
    assert!(error.to_string().starts_with("not done within 0.05 s"), "{error}");
    let request = agent.commands.recv().await.unwrap();
    assert_eq!(request.command, Command::Stop);
    drop(request);
    agent.is_fine().await;
}

#[tokio::test]
async fn commands_beyond_the_queue_are_declined() {
    let agent = agent(Log::Short, limits());
    let (reply, _waiting) = oneshot::channel();
    agent
        .queue
        .try_send(Request {
            command: Command::Stop,
            reply,
        })
        .unwrap();
    let error = agent.client.command(&Command::Start).await.unwrap_err();
    assert!(error.to_string().contains("busy with earlier commands"), "{error}");
}

#[tokio::test]
async fn an_agent_that_shuts_down_says_so() {
    let mut agent = agent(Log::Short, limits());
    agent.commands.close();
    let error = agent.client.command(&Command::Stop).await.unwrap_err();
    assert_eq!(error.to_string(), "the agent is shutting down");
}

#[tokio::test]
async fn what_is_no_command_is_refused_with_the_reason() {
    let agent = agent(Log::Short, limits());
    let post = |body: &str| {
        format!(
            "POST /v1/command HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let long = format!(r#"{{"command": "restart", "reason": "{}"}}"#, "x".repeat(301));
    for (body, words) in [
        ("", "EOF while parsing"),
        ("\u{1}\u{2}", "expected value"),
        (r#"{"command": "explode"}"#, "unknown variant `explode`"),
        (
            r#"{"command": "pause", "seconds": 0, "reason": ""}"#,
            "from 1 s to 30 days",
        ),
        (
            r#"{"command": "pause", "seconds": 18446744073709551615, "reason": ""}"#,
            "from 1 s to 30 days",
        ),
        (&long, "301 characters"),
        (r#"{"command": "restart", "reason": "a\nb"}"#, "one line"),
    ] {
        let answer = agent.raw_answer(&post(body)).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(words), "{answer}");
    }
    let answer = agent.raw_answer("GET /v2 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 404") && answer.contains("/v1/status"),
        "{answer}"
    );
}

#[tokio::test]
async fn too_large_a_request_is_refused_and_the_next_is_answered() {
    let agent = agent(Log::Short, limits());
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
        Limits {
            connections: 4,
            head: short,
            request: short,
            ..limits()
        },
    );
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
async fn no_more_connections_are_served_at_once_than_the_limit() {
    let limits = Limits {
        connections: 2,
        head: LONG,
        ..limits()
    };
    let agent = agent(Log::Short, limits);
    let (one, _two) = (agent.raw("").await, agent.raw("").await);
    let error = agent.client.status(Duration::from_millis(50)).await;
    assert!(matches!(error, Err(ClientError::Hangs { .. })));
    drop(one);
    agent.is_fine().await;
}

#[tokio::test]
async fn the_log_arrives_whole() {
    let agent = agent(Log::Short, limits());
    let whole = "line 0\nline 1\nline 2\n";
    assert_eq!(agent.client.log(10).await.unwrap(), whole.as_bytes());
    let followed: Vec<_> = agent.client.follow_log(10).await.unwrap().try_collect().await.unwrap();
    assert_eq!(followed.concat(), whole.as_bytes());
}

#[tokio::test]
async fn half_a_log_is_an_error() {
    let agent = agent(Log::Broken, limits());
    let error = agent.client.log(10).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }));
}

#[tokio::test]
async fn a_log_that_does_not_end_in_time_is_an_error_unless_followed() {
    let limits = Limits {
        request: Duration::from_millis(300),
        ..limits()
    };
    let agent = agent(Log::Silent, limits);
    let error = agent.client.log(10).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }));
}

#[tokio::test]
async fn without_a_container_the_log_is_an_error_in_words() {
    let agent = agent(Log::Missing, limits());
    let error = agent.client.follow_log(10).await.err().unwrap();
    assert!(!error.is_unreachable());
    assert!(error.to_string().starts_with("there is no container yet"), "{error}");
}

#[tokio::test]
async fn a_follower_that_leaves_frees_its_place_and_dockers() {
    let mut agent = agent(Log::Silent, Limits { stays: 1, ..limits() });
    let mut log = Box::pin(agent.client.follow_log(10).await.unwrap());
    assert_eq!(log.try_next().await.unwrap().unwrap(), b"line 0\n");
    let error = agent.client.follow_log(10).await.err().unwrap();
    assert!(
        error.to_string().starts_with("1 clients follow the log already"),
        "{error}"
    );
    drop(log);
    agent.log_has_ended().await;
    assert!(agent.client.follow_log(10).await.is_ok());
}

#[tokio::test]
async fn a_follower_outlasts_the_limit_of_other_connections() {
    let short = Duration::from_millis(50);
    let agent = agent(
        Log::Silent,
        Limits {
            connection: short,
            connections: 2,
            ..limits()
        },
    );
    let mut log = Box::pin(agent.client.follow_log(10).await.unwrap());
    // This one is over when the limit has passed, and was opened after the follower.
    let mut idle = agent.raw("").await;
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(log.try_next().await.unwrap().unwrap(), b"line 0\n");
    assert!(timeout(short, log.try_next()).await.is_err(), "the log ended");
}

#[tokio::test]
async fn a_follower_that_reads_nothing_is_dropped_and_others_are_answered() {
    let limits = Limits {
        stays: 1,
        stall: Duration::from_millis(50),
        ..limits()
    };
    let mut agent = agent(Log::Endless, limits);
    let follow = "GET /v1/logs?tail=1&follow=true HTTP/1.1\r\nhost: a\r\n\r\n";
    let _stuck = agent.raw(follow).await;
    agent.is_fine().await;
    agent.log_has_ended().await;
    assert!(agent.client.follow_log(10).await.is_ok());
}

#[tokio::test]
async fn a_slow_reader_of_anything_else_is_dropped_too() {
    let limits = Limits {
        connection: Duration::from_millis(100),
        ..limits()
    };
    let mut agent = agent(Log::Endless, limits);
    let _stuck = agent.raw("GET /v1/logs?tail=1 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    agent.log_has_ended().await;
    agent.is_fine().await;
}

#[tokio::test]
async fn shutting_down_ends_open_logs_and_removes_the_socket() {
    let agent = agent(
        Log::Silent,
        Limits {
            drain: Duration::from_millis(10),
            ..limits()
        },
    );
    let log = agent.client.follow_log(10).await.unwrap();
    agent.stop.send(()).unwrap();
    agent.served.await.unwrap();
    assert!(!agent.socket.exists());
    let log: Result<Vec<_>, _> = log.try_collect().await;
    assert!(matches!(log, Err(ClientError::Broken { .. })));
    let error = agent.client.status(LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Missing(_)) && error.is_unreachable());
}

#[tokio::test]
async fn a_socket_nobody_listens_on_is_told_from_a_missing_one() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    drop(bind(&socket, "root").unwrap());
    let error = Client::new(&socket).status(LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Dead(_)));
    assert!(error.to_string().contains("systemctl status t0rn-agent"), "{error}");
}

#[tokio::test]
async fn an_agent_that_hangs_is_told_within_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let _deaf = bind(&socket, "root").unwrap();
    let error = Client::new(&socket)
        .status(Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Hangs { .. }));
    assert!(error.to_string().contains("within 0.05 s"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_no_status_is_an_error_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let listener = bind(&socket, "root").unwrap();
    let garbage = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{}",
        "x".repeat(100_000)
    );
    for (answer, words) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"schema\": 2}",
            "has schema 2",
        ),
        ("\u{0}\u{1}\u{2}\r\n\r\n", "broke off"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "broke off"),
        ("", "broke off"),
        (&garbage, "broke off"),
    ] {
        let client = Client::new(&socket);
        let (error, ()) = tokio::join!(client.status(LONG), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
