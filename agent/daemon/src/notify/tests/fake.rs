//! A scripted, misbehaving webhook server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use agent_net::http::fake::{self, Request};

/// What it does with a request.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// These bytes, and hangs up.
    Bytes(Vec<u8>),
    /// Nothing, for ever.
    Hang,
    /// A head with this status, and a hundred megabytes.
    Flood(u16),
}

#[derive(Debug)]
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    written: Arc<Mutex<usize>>,
    left: Arc<Notify>,
}

pub(super) fn status(status: u16, headers: &str, body: &str) -> Answer {
    Answer::Bytes(fake::answer(
        status,
        &format!("{headers}connection: close\r\n"),
        body.as_bytes(),
    ))
}

impl Fake {
    /// `answer` gets the number of the request, from 0.
    pub(super) async fn serve(answer: impl Fn(usize) -> Answer + Send + 'static) -> Self {
        let (requests, written, left) = <(Arc<Mutex<Vec<Request>>>, Arc<Mutex<usize>>, Arc<Notify>)>::default();
        let kept = (Arc::clone(&requests), Arc::clone(&written), Arc::clone(&left));
        let address = fake::serve(move |number, mut stream| {
            let (requests, written, left) = kept.clone();
            let answer = answer(number);
            async move {
                if let Some(request) = fake::request(&mut stream).await {
                    requests.lock().unwrap().push(request);
                    respond(stream, answer, written, left).await;
                }
            }
        });
        Self {
            address: address.await,
            requests,
            written,
            left,
        }
    }

    /// The webhook's URL, with a secret in its path.
    pub(super) fn url(&self) -> String {
        format!("http://{}/services/T0TEAM/S3CR3T-PATH?key=S3CR3T-QUERY", self.address)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until a client that got no answer has closed its connection.
    pub(super) async fn is_left(&self) {
        let left = tokio::time::timeout(Duration::from_secs(20), self.left.notified()).await;
        left.unwrap_or_else(|_| panic!("the connection stays open"));
    }

    /// Bytes of the flood that were taken.
    pub(super) fn written(&self) -> usize {
        *self.written.lock().unwrap()
    }
}

async fn respond(mut stream: TcpStream, answer: Answer, written: Arc<Mutex<usize>>, left: Arc<Notify>) {
    match answer {
        Answer::Bytes(bytes) => {
            let _ = stream.write_all(&bytes).await;
        }
        Answer::Hang => {
            let _ = stream.read(&mut [0]).await;
            left.notify_one();
        }
        Answer::Flood(status) => {
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: 104857600\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let chunk = vec![b'x'; 64 << 10];
            while *written.lock().unwrap() < 100 << 20 && stream.write_all(&chunk).await.is_ok() {
                *written.lock().unwrap() += chunk.len();
            }
        }
    }
}
