//! HTTP: requests to both servers as raw bytes, and answers of a webhook.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use agent_config::Config;
use agent_core::published::AgentSnapshot;
use agent_core::status::Status;
use agent_docker::Docker;
use axum::Router;
use jiff::Timestamp;
use reqwest::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::api::{self, CommandRequest, ConfigHandle, Handle};
use crate::history::SharedHistory;
use crate::notify::Webhook;
use crate::server::{ConnectionState, LongLivedPermit, ServerLimits, bounded, connection};
use crate::supervisor::KnownSecrets;
use crate::web::{self, WebState};

/// Turns of the runtime in which every answer from memory is given.
const TURNS: usize = 64;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    static PAGE: RefCell<Option<Router>> = const { RefCell::new(None) };
    static SOCKET: RefCell<Option<Router>> = const { RefCell::new(None) };
    // Its client reads the certificates of the authorities.
    static WEBHOOK: Webhook = Webhook::new(&config().notify).unwrap();
}

fn config() -> Config {
    let text = "[collator]\nimage = \"org/node:v1\"\n[agent]\ndocker = \"/nonexistent/docker.sock\"\n\
                [notify]\nwebhook = \"https://hooks.example/services/T0/webhook-33-b4c5?key=query-44-d6e7\"\n";
    Config::parse(text, "agent.toml").unwrap()
}

fn snapshot() -> watch::Receiver<Arc<AgentSnapshot>> {
    let status = Status {
        summary: "fine".to_owned(),
        ..Status::default()
    };
    let snapshot = AgentSnapshot::of(status, Timestamp::UNIX_EPOCH, Instant::now());
    watch::channel(Arc::new(snapshot)).1
}

/// A request to the status page and the metrics, also from a browser that was led there.
pub fn page_request(data: &[u8]) {
    let router = || {
        let state = WebState {
            snapshot: snapshot(),
            late_after: Duration::from_hours(24),
            history: SharedHistory::default(),
            incidents: Path::new("/nonexistent").into(),
            hosts: watch::channel(Arc::from(["agent.example.com".to_owned()])).1,
            stopped: CancellationToken::new(),
        };
        bounded(web::limits(), web::router(state))
    };
    let router = PAGE.with_borrow_mut(|kept| kept.get_or_insert_with(router).clone());
    check(web::limits(), router, data);
}

/// A request to the agent's socket: the command it holds arrives within its bounds, or is refused.
pub fn socket_request(data: &[u8]) {
    let router = || {
        let (commands, mut received) = mpsc::channel::<CommandRequest>(1);
        RUNTIME.with(|runtime| {
            runtime.spawn(async move {
                while let Some(CommandRequest { command, reply }) = received.recv().await {
                    let text = serde_json::to_string(&command).unwrap();
                    assert!(text.len() < 8 * api::REASON_MAX);
                    let _ = reply.send(Ok(text));
                }
            })
        });
        let docker = Docker::new(&config()).unwrap();
        let handle = Handle {
            snapshot: snapshot(),
            commands,
            secrets: KnownSecrets::none(&docker),
            config: ConfigHandle::none(),
            docker,
        };
        bounded(api::limits(), api::router(api::limits(), handle))
    };
    let router = SOCKET.with_borrow_mut(|kept| kept.get_or_insert_with(router).clone());
    check(api::limits(), router, data);
}

/// Sends the bytes; there is no answer, or one of HTTP that is no failure of the server's own.
fn check(limits: ServerLimits, router: Router, data: &[u8]) {
    let answer = Arc::new(Mutex::new(Vec::new()));
    let client = Client {
        request: data.to_vec(),
        sent: 0,
        answer: Arc::clone(&answer),
    };
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let turns = async {
                for _ in 0..TURNS {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = connection(limits, client, router, LongLivedPermit::alone(), ConnectionState::begin()) => {}
                () = turns => {}
            }
        });
    });
    let answer = answer.lock().unwrap();
    if !answer.is_empty() {
        assert!(
            answer.starts_with(b"HTTP/1.") && answer.len() > 12,
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
        assert_ne!(&answer[9..12], b"500", "{:?}", String::from_utf8_lossy(&answer));
    }
}

/// A client that sends its request, and then waits.
struct Client {
    request: Vec<u8>,
    sent: usize,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Client {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context, buffer: &mut ReadBuf) -> Poll<io::Result<()>> {
        let rest = &self.request[self.sent..];
        if rest.is_empty() {
            return Poll::Pending;
        }
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        self.sent += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.answer.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// An answer of the webhook: its error is one line, and shows no part of the URL.
pub fn webhook_answer(data: &[u8]) {
    let [code, answer @ ..] = data else { return };
    let status = StatusCode::from_u16(300 + 2 * u16::from(*code)).unwrap();
    for header in [None, Some(Duration::from_secs(7))] {
        let error = WEBHOOK.with(|webhook| webhook.error_response(status, header, answer));
        assert!(
            error.reason.len() < 1024 && !error.reason.contains(char::is_control),
            "{}",
            error.reason
        );
        for secret in ["webhook-33-b4c5", "query-44-d6e7", "hooks.example"] {
            assert!(!error.reason.contains(secret), "{}", error.reason);
        }
    }
}
