//! Counterparts that misbehave, or that a test has to be sure of.

use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::ports::Reservation;

/// A Docker socket that accepts every connection and never answers; ends with the process.
#[derive(Debug)]
pub struct UnresponsiveDocker {
    dir: TempDir,
}

impl UnresponsiveDocker {
    /// # Errors
    /// The socket cannot be made.
    pub fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let listener = UnixListener::bind(dir.path().join("docker.sock"))?;
        thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
        Ok(Self { dir })
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }
}

/// A name server on an address of its own within 127.0.0.0/8: every name is 127.0.0.1, as long as it answers.
#[derive(Debug)]
pub struct DnsServer {
    dir: TempDir,
    answers: Arc<AtomicBool>,
    _address: Reservation,
}

impl DnsServer {
    /// # Errors
    /// Port 53 cannot be bound: not root?
    pub fn start() -> Result<Self> {
        let address = |number: u16| {
            let [high, low] = number.to_be_bytes();
            Ipv4Addr::new(127, 64, high, low)
        };
        // The sockets of former resolvers stay bound until the process ends.
        let free = |number| UdpSocket::bind((address(number), 53)).is_ok();
        let number = Reservation::of("resolvers", 0..4096, free).context("failed to bind port 53: not root?")?;
        let address = address(number.number());
        let socket = UdpSocket::bind((address, 53)).with_context(|| format!("failed to bind {address}:53"))?;
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("resolv.conf"), format!("nameserver {address}\n"))?;
        let answers = Arc::new(AtomicBool::new(true));
        let answering = Arc::clone(&answers);
        thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((n, from)) = socket.recv_from(&mut packet) {
                let answer = packet.get(..n).and_then(answer);
                if let (true, Some(answer)) = (answering.load(Ordering::Relaxed), answer) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Ok(Self {
            dir,
            answers,
            _address: number,
        })
    }

    /// Whether it answers from now on.
    pub fn set_answers(&self, answers: bool) {
        self.answers.store(answers, Ordering::Relaxed);
    }

    /// A file for `/etc/resolv.conf` that names it alone.
    pub fn resolv_conf(&self) -> PathBuf {
        self.dir.path().join("resolv.conf")
    }

    /// The folder that lives as long as the resolver.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// The query sent back as an answer: 127.0.0.1 for an address, nothing for anything else.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let mut at = 12;
    while *query.get(at)? != 0 {
        at += usize::from(query[at]) + 1;
    }
    let question = query.get(..at + 5)?;
    let wants_address = question.ends_with(&[0, 1, 0, 1]);
    let mut answer = question.to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(wants_address), 0, 0, 0, 0]);
    if wants_address {
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
