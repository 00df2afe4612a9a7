//! The client of a running agent's API.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{Stream, TryStreamExt, stream};
use reqwest::header::ACCEPT;
use reqwest::{Method, Response};
use tokio::net::UnixStream;
use tokio::time::sleep;

use super::configuration::ConfigAnswer;
use super::{AGENT, ConfigReport, GIVES_UP, Reply};
use crate::state::is_over;
use agent_core::event::Command;
use agent_core::status::{SCHEMA, Status};
use agent_core::units::show_duration;
use agent_net::http;
use agent_runtime::wall;

/// Largest answer that is read at once, bytes.
const ANSWER_MAX: usize = 64 * 1024;
/// Largest log that is read at once, bytes.
const LOG_MAX: usize = 32 * 1024 * 1024;
/// The agent limits a request to 8 s; its error about a slow one must still arrive.
const TIMEOUT: Duration = Duration::from_secs(9);
/// Interval of looks at the process on the other side, while it does not answer.
const PEER_INTERVAL: Duration = Duration::from_millis(500);
/// The same while a log is followed, which may have no lines for long.
const FOLLOWED_INTERVAL: Duration = Duration::from_secs(5);

/// Client of the agent's socket, one connection per request.
#[derive(Debug, Clone)]
pub struct AgentClient {
    socket: PathBuf,
}

/// Why there is no response. Every message names the remedy and then the socket, whose path may be so long
/// that the end of the message is cut off.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no agent is running (see: systemctl status t0rn-agent): {} missing", .0.display())]
    Missing(PathBuf),
    #[error("no agent is running (see: systemctl status t0rn-agent): nothing listens on {}", .0.display())]
    Dead(PathBuf),
    #[error("no right to talk to the agent (use sudo, or join the group t0rn-agent): {}", .0.display())]
    Denied(PathBuf),
    #[error(
        "the agent hangs (try: systemctl restart t0rn-agent, which leaves the collator as it is): no answer from {} \
         within {}", socket.display(), show_duration(*limit)
    )]
    Hangs { socket: PathBuf, limit: Duration },
    #[error(
        "the agent (pid {pid}) was killed and its process hangs in the kernel, so that nothing looks after the collator \
         (see dmesg for a disk that does not answer, then: systemctl restart t0rn-agent): {}", socket.display()
    )]
    Killed { socket: PathBuf, pid: u32 },
    #[error("the agent broke off (see: journalctl -u t0rn-agent): {}: {reason}", socket.display())]
    Broken { socket: PathBuf, reason: String },
    /// The agent's error message.
    #[error("{0}")]
    Refused(String),
    /// What is wrong with the configuration; the former one stays in force.
    #[error("{0}")]
    WrongConfig(String),
}

impl ClientError {
    /// Whether the agent cannot be reached, as opposed to one that rejects the request.
    pub fn is_unreachable(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::WrongConfig(_))
    }
}

impl AgentClient {
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The agent's status, within `limit`.
    pub async fn status(&self, limit: Duration) -> Result<Status, ClientError> {
        let body = self
            .exchange(Method::GET, "/v1/status", String::new(), limit, ANSWER_MAX)
            .await?;
        match serde_json::from_slice::<Status>(&body) {
            Ok(status) if status.schema == SCHEMA => Ok(status),
            Ok(status) => Err(self.broken(format!(
                "its status has schema {}, this command reads {SCHEMA}; use the agent's own version",
                status.schema
            ))),
            Err(error) => Err(self.broken(format!("its status cannot be read: {error}"))),
        }
    }

    /// Sends a command; returns the agent's reply. At most 9 s.
    pub async fn command(&self, command: &Command) -> Result<String, ClientError> {
        let command = serde_json::to_string(command).map_err(|e| self.broken(e.to_string()))?;
        let body = self
            .exchange(Method::POST, "/v1/command", command, TIMEOUT, ANSWER_MAX)
            .await?;
        match serde_json::from_slice::<Reply>(&body) {
            Ok(Reply { agent, reply }) if agent == AGENT => Ok(reply),
            _ => Err(self.broken("what answers there is no agent of this version; restart the agent".to_owned())),
        }
    }

    /// What the configuration in `text` changes against the one in force. At most 9 s.
    pub async fn compare_config(&self, text: String) -> Result<ConfigReport, ClientError> {
        self.config("/v1/config/diff", text).await
    }

    /// Has the agent read its configuration again; with `all`, all of it comes into force, whatever that takes. At most 9 s.
    pub async fn reload(&self, all: bool) -> Result<ConfigReport, ClientError> {
        self.config(&format!("/v1/config/reload?all={all}"), String::new())
            .await
    }

    async fn config(&self, path: &str, body: String) -> Result<ConfigReport, ClientError> {
        let body = self.exchange(Method::POST, path, body, TIMEOUT, ANSWER_MAX).await?;
        match serde_json::from_slice(&body) {
            Ok(ConfigAnswer { agent, error, report }) if agent == AGENT => {
                error.map_or(Ok(report), |error| Err(ClientError::WrongConfig(error)))
            }
            _ => Err(self.broken("what answers there is no agent of this version; restart the agent".to_owned())),
        }
    }

    /// The last `lines` lines of the collator's log, as the container wrote them. At most 9 s and 32 MiB.
    pub async fn log(&self, lines: u32) -> Result<Vec<u8>, ClientError> {
        let path = format!("/v1/logs?tail={lines}&follow=false");
        self.exchange(Method::GET, &path, String::new(), TIMEOUT, LOG_MAX).await
    }

    /// The same log, followed until the container is gone, or the agent was killed. Its beginning takes at most 9 s.
    pub async fn follow_log(
        &self,
        lines: u32,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, ClientError>> + use<>, ClientError> {
        let path = format!("/v1/logs?tail={lines}&follow=true");
        let answer = self
            .within(TIMEOUT, self.send(Method::GET, &path, String::new()))
            .await?;
        let client = self.clone();
        let chunks = answer.bytes_stream();
        let chunks = chunks
            .map_ok(|chunk| chunk.to_vec())
            .map_err(move |e| client.broken(http::innermost(&e)));
        let client = self.clone();
        let killed = async move { client.killed(FOLLOWED_INTERVAL).await };
        let rest = (Box::pin(chunks), Box::pin(killed));
        Ok(stream::try_unfold(rest, async |(mut chunks, mut killed)| {
            tokio::select! {
                biased;
                chunk = chunks.try_next() => Ok(chunk?.map(|chunk| (chunk, (chunks, killed)))),
                killed = &mut killed => Err(killed),
            }
        }))
    }

    /// A whole answer of at most `max` bytes, within `limit`.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: String,
        limit: Duration,
        max: usize,
    ) -> Result<Vec<u8>, ClientError> {
        let exchange = async { self.collect(self.send(method, path, body).await?, max).await };
        self.within(limit, exchange).await
    }

    /// The answer of an agent that gives one in time.
    async fn within<T>(
        &self,
        limit: Duration,
        answer: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        tokio::select! {
            biased;
            answer = answer => answer,
            killed = self.killed(PEER_INTERVAL) => Err(killed),
            () = sleep(limit) => Err(ClientError::Hangs { socket: self.socket.clone(), limit }),
        }
    }

    /// Returns as soon as the process that listens on the socket was seen to be killed. The kernel accepts connections for
    /// it until it has ended.
    async fn killed(&self, interval: Duration) -> ClientError {
        loop {
            sleep(interval).await;
            let peer = UnixStream::connect(&self.socket)
                .await
                .and_then(|peer| peer.peer_cred());
            let pid = peer.ok().and_then(|peer| u32::try_from(peer.pid()?).ok());
            if let Some(pid) = pid.filter(|pid| is_over(*pid)) {
                let socket = self.socket.clone();
                return ClientError::Killed { socket, pid };
            }
        }
    }

    async fn collect(&self, answer: Response, max: usize) -> Result<Vec<u8>, ClientError> {
        let all = http::bytes(answer, max).await;
        all.map_err(|error| self.broken(error.to_string()))
    }

    /// A successful response's head, or the agent's message as the error.
    async fn send(&self, method: Method, path: &str, body: String) -> Result<Response, ClientError> {
        let timeout_ms = i64::try_from(TIMEOUT.as_millis()).unwrap_or(i64::MAX);
        let gives_up = wall::unix_ms().saturating_add(timeout_ms);
        let client = http::local().and_then(|client| Ok(client.unix_socket(&*self.socket).build()?));
        let client = client.map_err(|error| self.broken(error.to_string()))?;
        let answer = loop {
            let request = client.request(method.clone(), format!("http://t0rn-agent{path}"));
            let request = request
                .header(GIVES_UP, gives_up)
                .header(ACCEPT, "application/json")
                .body(body.clone());
            match request.send().await {
                Ok(answer) => break answer,
                // The backlog is full; the caller's limit ends this.
                Err(error) if http::io_kind(&error) == Some(io::ErrorKind::WouldBlock) => {
                    sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(self.unreachable(&error)),
            }
        };
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body = self.collect(answer, ANSWER_MAX).await?;
        let reason = String::from_utf8_lossy(&body).trim().to_owned();
        Err(ClientError::Refused(if reason.is_empty() {
            format!("{}: HTTP status {status} without a reason", self.socket.display())
        } else {
            reason
        }))
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        match http::io_kind(error) {
            Some(io::ErrorKind::NotFound) => ClientError::Missing(self.socket.clone()),
            Some(io::ErrorKind::ConnectionRefused) => ClientError::Dead(self.socket.clone()),
            Some(io::ErrorKind::PermissionDenied) => ClientError::Denied(self.socket.clone()),
            _ => self.broken(http::innermost(error)),
        }
    }

    fn broken(&self, reason: String) -> ClientError {
        ClientError::Broken {
            socket: self.socket.clone(),
            reason,
        }
    }
}
