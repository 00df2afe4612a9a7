//! The other end of the agent's webhook: keeps what it is sent, and answers as told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::sim::http::{Request, read_request};
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
pub struct Hook {
    port: u16,
    messages: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
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
        let certificate = CertificateDer::from_pem_slice(IDENTITY)?;
        let key = PrivateKeyDer::from_pem_slice(IDENTITY)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Self::serve(answer, Some(Arc::new(config)))
    }

    fn serve(answer: Answer, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let messages: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&messages);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, tls) = (Arc::clone(&kept), tls.clone());
                thread::spawn(move || match tls.map(ServerConnection::new) {
                    None => talk(stream, answer, &kept),
                    Some(Ok(session)) => talk(StreamOwned::new(session, stream), answer, &kept),
                    Some(Err(_)) => {}
                });
            }
        });
        Ok(Self { port, messages })
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

fn talk(mut stream: impl Read + Write, answer: Answer, messages: &Mutex<Vec<Value>>) {
    let Ok(Some(Request { method, path, body, .. })) = read_request(&mut stream) else {
        return;
    };
    let message = serde_json::from_str(&body).unwrap_or(Value::Null);
    messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    let text = match answer {
        Answer::Take => "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned(),
        Answer::Hang => {
            let _ = stream.read(&mut [0]);
            return;
        }
        Answer::Redirect => {
            format!("HTTP/1.1 307 x\r\nlocation: {path}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
        Answer::Refuse(status) => {
            let said = format!("cannot {method} {path}");
            format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}",
                said.len()
            )
        }
    };
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.flush();
}
