//! A scripted instance metadata service and Auto Scaling API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Router, body};
use tokio::net::TcpListener;

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
    /// The next responses of the API: status and XML; then 200.
    pub(super) api: Vec<(u16, String)>,
}

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
        let fake = Self::start().await;
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

async fn answer(State(fake): State<Fake>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches("/latest/").to_owned();
    let body = body::to_bytes(body, 1 << 20).await.unwrap();
    let found = fake.script(|s| {
        if parts.method == Method::POST {
            s.posted.push((parts.headers.clone(), body));
            let (status, xml) = if s.api.is_empty() {
                (200, String::new())
            } else {
                s.api.remove(0)
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
