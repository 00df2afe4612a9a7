//! A server at the other end of the webhook that misbehaves as told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What it does with a request.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// These bytes, and hangs up.
    Bytes(String),
    /// Nothing, for ever.
    Hang,
    /// A head with this status, and a hundred megabytes.
    Flood(u16),
}

/// What it was sent.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: String,
}

#[derive(Debug)]
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    written: Arc<Mutex<usize>>,
    left: Arc<Notify>,
}

pub(super) fn status(status: u16, headers: &str, body: &str) -> Answer {
    Answer::Bytes(format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n{body}",
        body.len()
    ))
}

impl Fake {
    /// `answer` gets the number of the request, from 0.
    pub(super) async fn serve(answer: impl Fn(usize) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            written: Arc::default(),
            left: Arc::default(),
        };
        let (requests, written, left) = (
            Arc::clone(&fake.requests),
            Arc::clone(&fake.written),
            Arc::clone(&fake.left),
        );
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = read(&mut stream).await else {
                    continue;
                };
                let number = {
                    let mut requests = requests.lock().unwrap();
                    requests.push(request);
                    requests.len() - 1
                };
                tokio::spawn(respond(stream, answer(number), Arc::clone(&written), Arc::clone(&left)));
            }
        });
        fake
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

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length
                .lines()
                .find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                let (head, body) = (head.to_owned(), body.to_owned());
                return Some(Request { head, body });
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn respond(mut stream: TcpStream, answer: Answer, written: Arc<Mutex<usize>>, left: Arc<Notify>) {
    match answer {
        Answer::Bytes(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
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
