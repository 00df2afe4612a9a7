//! The other end of the agent's webhook: keeps what it is sent, and answers as told.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use crate::http_server::{self, Request, answer, redirect};
use crate::wait;

/// A certificate for [`NAME`] and its key.
const IDENTITY: &[u8] = include_bytes!("../../localhost.pem");
/// The name that the certificate is for.
pub const NAME: &str = "hooks.example.org";
/// Part of every webhook's URL that nobody may see.
pub const SECRET: &str = "T0SECRET-B0SECRET-XXXXSECRET";

/// What it does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Takes it, as Discord does: 204.
    Take,
    /// Accepts the connection and never answers.
    Hang,
    /// Sends it round in circles.
    Redirect,
    /// Refuses it with this status, and repeats the path in the body, as many servers do.
    Refuse(u16),
}

/// A running server on 127.0.0.1; ends with the process.
#[derive(Debug)]
pub struct WebhookReceiver {
    port: u16,
    messages: Arc<Mutex<Vec<Value>>>,
}

impl WebhookReceiver {
    /// A server that speaks plain HTTP.
    ///
    /// # Errors
    /// No port is free.
    pub fn start(answer: Answer) -> Result<Self> {
        Self::serve(answer, None)
    }

    /// A server that speaks TLS, with a certificate of its own.
    ///
    /// # Errors
    /// No port is free.
    pub fn start_tls(answer: Answer) -> Result<Self> {
        Self::serve(answer, Some(tls()?))
    }

    fn serve(behaviour: Answer, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let messages: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&messages);
        let address = http_server::start(tls, move |request| {
            let message = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            respond(behaviour, request)
        })?;
        Ok(Self {
            port: address.port(),
            messages,
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL for `notify.webhook`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/services/{SECRET}?key={SECRET}", self.port)
    }

    /// The messages so far, oldest first: every try of every one.
    pub fn messages(&self) -> Vec<Value> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The messages about `cause` so far, in short: `event`, and whether it helped where that is told.
    pub fn about(&self, cause: &str) -> Vec<String> {
        let messages = self.messages().into_iter().filter(|m| m["cause"] == cause);
        let short = |m: Value| match m["helped"].as_bool() {
            Some(helped) => format!("{} {helped}", m["event"].as_str().unwrap_or_default()),
            None => m["event"].as_str().unwrap_or_default().to_owned(),
        };
        messages.map(short).collect()
    }

    /// Waits until exactly these messages about `cause` have come.
    ///
    /// # Errors
    /// `timeout` passed, or others came.
    pub fn wait_about(&self, cause: &str, expected: &[&str], timeout: Duration) -> Result<()> {
        wait::until(&format!("messages about {cause}"), timeout, || {
            let about = self.about(cause);
            ensure!(about == expected, "{about:?} and not {expected:?}");
            Ok(())
        })
    }

    /// Waits for the first message.
    ///
    /// # Errors
    /// `timeout` passed.
    pub fn wait_first(&self, timeout: Duration) -> Result<Value> {
        wait::until("a message", timeout, || {
            self.messages().into_iter().next().context("none has come")
        })
    }
}

/// TLS as [`NAME`].
///
/// # Errors
/// The certificate cannot be read.
pub(crate) fn tls() -> Result<Arc<ServerConfig>> {
    let certificate = CertificateDer::from_pem_slice(IDENTITY)?;
    let key = PrivateKeyDer::from_pem_slice(IDENTITY)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}

async fn respond(behaviour: Answer, request: Request) -> http_server::Answer {
    match behaviour {
        Answer::Take => answer(204, ""),
        Answer::Hang => pending().await,
        Answer::Redirect => redirect(307, &request.uri.to_string()),
        Answer::Refuse(status) => answer(status, format!("cannot {} {}", request.method, request.uri)),
    }
}
