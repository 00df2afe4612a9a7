//! Services at addresses of their own on this host, which record what they are sent as credentials.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::task::spawn_blocking;
use ureq::Agent;

use crate::credentials::CredentialRecorder;
use crate::http_server::{self, Answer, Request, answer, redirect};
use crate::registry::{PASSWORD, Registry, USER};
use crate::webhook;

/// One call of the registry behind a front.
const BEHIND: Duration = Duration::from_mins(1);
/// Largest blob, bytes.
const BLOB: u64 = 256 << 20;
/// Headers of a registry that clients need.
const PASSED: [HeaderName; 2] = [CONTENT_TYPE, HeaderName::from_static("docker-content-digest")];

/// What a service does with every request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Says so.
    Text(u16, String),
    /// Sends it on, with its path where the place ends with `*`.
    Redirect(u16, String),
    /// Gives these bytes.
    Bytes(Arc<Vec<u8>>),
    /// Answers as a node whose head is at this height.
    Node(u64),
}

impl Reply {
    fn to(&self, request: &Request) -> Answer {
        match self {
            Self::Text(status, text) => answer(*status, text.clone()),
            Self::Redirect(status, place) => match place.strip_suffix('*') {
                Some(base) => redirect(*status, &format!("{base}{}", request.uri)),
                None => redirect(*status, place),
            },
            Self::Bytes(bytes) => answer(200, bytes.as_ref().clone()),
            Self::Node(height) => {
                let asked: serde_json::Value = serde_json::from_str(&request.text()).unwrap_or_default();
                let result = match asked["method"].as_str() {
                    Some("chain_getHeader") => serde_json::json!({ "number": format!("{height:#x}") }),
                    _ => format!("0x{height:064x}").into(),
                };
                let body = serde_json::json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result });
                answer(200, body.to_string())
            }
        }
    }
}

/// Starts `service` on a free port of `address`, over TLS as [`webhook::NAME`] if so; ends with the process.
///
/// # Errors
/// No port is free.
pub fn start(
    recorder: &CredentialRecorder,
    service: &'static str,
    address: Ipv4Addr,
    is_secure: bool,
    reply: Reply,
) -> Result<SocketAddr> {
    let recorder = recorder.clone();
    let tls = is_secure.then(webhook::tls).transpose()?;
    http_server::start_at(address, tls, move |request| {
        recorder.record(service, &request);
        std::future::ready(reply.to(&request))
    })
}

/// A registry with a login of its own, whose images are those of another one.
#[derive(Debug, Clone)]
pub struct RegistryFront {
    pub service: &'static str,
    pub address: Ipv4Addr,
    /// User and password, `user:password`; none where everybody is let in.
    pub login: Option<String>,
    /// Where blobs are, a base of URLs; here where there is none.
    pub blobs: Option<String>,
    /// What is added to the address of a blob.
    pub ticket: String,
}

impl RegistryFront {
    /// Starts it on a free port, and returns `address:port`; ends with the process.
    ///
    /// # Errors
    /// No port is free.
    pub fn start(self, recorder: &CredentialRecorder, behind: &Registry) -> Result<String> {
        let (recorder, behind) = (recorder.clone(), behind.host());
        let front = Arc::new(self);
        let address = http_server::start_at(front.address, None, move |request| {
            recorder.record(front.service, &request);
            let (front, behind) = (Arc::clone(&front), behind.clone());
            let answered = spawn_blocking(move || front.answer(&request, &behind));
            async { answered.await.map_err(io::Error::other)? }
        })?;
        Ok(address.to_string())
    }

    fn answer(&self, request: &Request, behind: &str) -> Answer {
        let wanted = self
            .login
            .as_ref()
            .map(|login| format!("Basic {}", STANDARD.encode(login)));
        if wanted.is_some_and(|wanted| request.header("authorization") != Some(&wanted)) {
            let mut refused = answer(401, r#"{"errors": [{"code": "UNAUTHORIZED"}]}"#)?;
            let challenge = HeaderValue::from_static("Basic realm=\"here\"");
            refused.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            return Ok(refused);
        }
        let path = request.uri.path();
        if let Some(blobs) = self.blobs.as_ref().filter(|_| path.contains("/blobs/")) {
            return redirect(307, &format!("{blobs}{path}?{}", self.ticket));
        }
        forward(request, behind).map_err(io::Error::other)
    }
}

/// Asks the registry behind, as its only user.
fn forward(request: &Request, behind: &str) -> Result<axum::http::Response<axum::body::Body>> {
    let agent = Agent::config_builder()
        .timeout_global(Some(BEHIND))
        .http_status_as_error(false)
        .build();
    let login = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let mut asked = ureq::http::Request::builder()
        .method(request.method.as_str())
        .uri(format!("http://{behind}{}", request.uri.path()))
        .header("authorization", format!("Basic {login}"));
    for accepted in request.headers.get_all(ACCEPT) {
        asked = asked.header("accept", accepted.as_bytes());
    }
    let mut answered = Agent::new_with_config(agent).run(asked.body(())?)?;
    let length = answered.headers().get(CONTENT_LENGTH.as_str()).cloned();
    let passed = PASSED.map(|name| (answered.headers().get(name.as_str()).cloned(), name));
    let is_head = request.method == "HEAD";
    let bytes = if is_head {
        Vec::new()
    } else {
        answered.body_mut().with_config().limit(BLOB).read_to_vec()?
    };
    let mut response = answer(answered.status().as_u16(), bytes)?;
    if let (true, Some(length)) = (is_head, length) {
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    response.headers_mut().remove(LOCATION);
    for (value, name) in passed {
        value.map(|value| response.headers_mut().insert(name, value));
    }
    Ok(response)
}
