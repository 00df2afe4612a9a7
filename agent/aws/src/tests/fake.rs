//! A scripted instance metadata service and Auto Scaling API.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_net::simulation;
use agent_runtime::Instant;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Router, body};
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use url::form_urlencoded;

/// Scripted response of a path or of the token request.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Text(String),
    Status(u16),
    /// Accepts the request and never responds.
    Silence,
}

#[derive(Debug, Default)]
pub(super) struct Script {
    /// Responses by path below `/latest/`; others are 404.
    pub(super) paths: BTreeMap<String, Answer>,
    pub(super) token: Option<Answer>,
    /// Lifetime sent with a token, seconds.
    pub(super) ttl: Option<u64>,
    /// Tokens issued so far; only the newest is valid.
    pub(super) tokens: u32,
    /// The newest is no longer valid.
    pub(super) forgets: bool,
    /// Requested paths, in order.
    pub(super) asked: Vec<String>,
    /// Forms posted to the API, with their headers.
    pub(super) posted: Vec<(HeaderMap, Bytes)>,
    /// When the first was.
    began: Option<Instant>,
    /// Of so many requests for documents, all but one are answered with 429.
    pub(super) throttled: Option<usize>,
    /// The next responses of the API: status and XML; then what `respond` says, or 200.
    pub(super) api: Vec<(u16, String)>,
    pub(super) respond: Option<Respond>,
}

/// A response of the API: status and XML, by the action, the time since the first call and the number of calls before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Respond(pub(super) fn(&str, Duration, usize) -> (u16, String));

#[derive(Debug, Clone)]
pub(super) struct Fake {
    pub(super) base: String,
    script: Arc<Mutex<Script>>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            base: format!("http://{}", listener.local_addr().unwrap()),
            script: Arc::default(),
        };
        let app = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        fake
    }

    /// A spot instance in a group, without notices.
    pub(super) async fn instance() -> Self {
        Self::start().await.with_instance()
    }

    /// The same in memory, for a test whose time is paused: a socket cannot be used on virtual time.
    pub(super) fn in_memory() -> Self {
        let fake = Self {
            base: "http://169.254.169.254".to_owned(),
            script: Arc::default(),
        };
        simulation::set(Some(Arc::new(InMemory(fake.clone()))));
        fake.with_instance()
    }

    fn with_instance(self) -> Self {
        let fake = self;
        fake.set("meta-data/instance-id", "i-0123456789abcdef0");
        fake.set("meta-data/placement/region", "eu-central-1");
        fake.set("meta-data/autoscaling/target-lifecycle-state", "InService");
        fake.set("meta-data/events/maintenance/scheduled", "[]");
        fake.set("meta-data/iam/security-credentials/", "collator");
        fake.set(
            "meta-data/iam/security-credentials/collator",
            r#"{"Code":"Success","AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"secret/key","Token":"session==",
            "Expiration":"2999-01-01T00:00:00Z"}"#,
        );
        fake
    }

    pub(super) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().unwrap())
    }

    pub(super) fn set(&self, path: &str, text: &str) {
        self.answer(path, Answer::Text(text.to_owned()));
    }

    pub(super) fn answer(&self, path: &str, answer: Answer) {
        self.script(|s| s.paths.insert(path.to_owned(), answer));
    }

    pub(super) fn remove(&self, path: &str) {
        self.script(|s| s.paths.remove(path));
    }

    pub(super) fn tokens(&self) -> u32 {
        self.script(|s| s.tokens)
    }
}

struct InMemory(Fake);

impl simulation::Network for InMemory {
    fn connect(&self, _: &str) -> simulation::Answer<DuplexStream> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }

    fn request(&self, request: http::Request<Bytes>) -> simulation::Answer<http::Response<Bytes>> {
        let fake = self.0.clone();
        Box::pin(async move {
            let response = answer(State(fake), request.map(Into::into)).await;
            let (parts, body) = response.into_parts();
            let body = body::to_bytes(body, 1 << 20).await.map_err(io::Error::other)?;
            Ok(http::Response::from_parts(parts, body))
        })
    }
}

async fn answer(State(fake): State<Fake>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches("/latest/").to_owned();
    let body = body::to_bytes(body, 1 << 20).await.unwrap();
    let found = fake.script(|s| {
        if parts.method == Method::POST {
            let before = s.posted.len();
            let action = form_urlencoded::parse(&body).find(|(name, _)| name == "Action");
            let action = action.map(|(_, action)| action.into_owned()).unwrap_or_default();
            s.posted.push((parts.headers.clone(), body));
            let since = s.began.get_or_insert_with(Instant::now).elapsed();
            let (status, xml) = match s.respond {
                _ if !s.api.is_empty() => s.api.remove(0),
                Some(Respond(respond)) => respond(&action, since, before),
                None => (200, String::new()),
            };
            return Ok((StatusCode::from_u16(status).unwrap(), xml).into_response());
        }
        if parts.method == Method::PUT && path == "api/token" {
            assert!(parts.headers.contains_key("x-aws-ec2-metadata-token-ttl-seconds"));
            s.tokens += 1;
            s.forgets = false;
            let ttl = s.ttl.unwrap_or(21_600).to_string();
            let token = Answer::Text(format!("token-{}", s.tokens));
            let token = s.token.clone().unwrap_or(token);
            return Err(token).or_else(|answer| match answer {
                Answer::Text(text) => Ok(([("x-aws-ec2-metadata-token-ttl-seconds", ttl)], text).into_response()),
                other => Err(other),
            });
        }
        s.asked.push(path.clone());
        if s.throttled.is_some_and(|many| !s.asked.len().is_multiple_of(many)) {
            return Err(Answer::Status(429));
        }
        let token = parts.headers.get("x-aws-ec2-metadata-token");
        let good = !s.forgets && token.is_some_and(|t| t.as_bytes() == format!("token-{}", s.tokens).as_bytes());
        if !good {
            return Err(Answer::Status(401));
        }
        Err(s.paths.get(&path).cloned().unwrap_or(Answer::Status(404)))
    });
    match found {
        Ok(response) => response,
        Err(Answer::Text(text)) => text.into_response(),
        Err(Answer::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Err(Answer::Silence) => {
            tokio::time::sleep(Duration::from_hours(1)).await;
            StatusCode::OK.into_response()
        }
    }
}
