//! Sockets between the command and what it talks to, which kill it at a chosen request.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::wait::{LATER, until};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The request does not arrive.
    Before,
    /// It has arrived, and what it asks for has begun at most.
    During,
    /// It is carried out, and its answer does not arrive.
    After,
}

/// Kills a process at the n-th request that changes something, counted over all sockets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Killer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    victim: Option<Child>,
    /// Requests still to let through, and when to kill then.
    left: Option<(usize, Moment)>,
    /// The request at which it was killed.
    killed_at: Option<String>,
}

impl Killer {
    /// Listens on `socket` for what goes to `target`. Ends with the process.
    pub(crate) fn listen(&self, socket: &Path, target: &Path) -> Result<()> {
        let listener = UnixListener::bind(socket)?;
        let (killer, target) = (self.clone(), target.to_owned());
        thread::spawn(move || {
            for peer in listener.incoming().flatten() {
                let (killer, target) = (killer.clone(), target.clone());
                thread::spawn(move || killer.pass(peer, &target));
            }
        });
        Ok(())
    }

    /// Runs a command that is killed at request `number`, from 0. Returns that request; `None` when it ended before.
    pub(crate) fn run(
        &self,
        number: usize,
        moment: Moment,
        spawn: impl FnOnce() -> Result<Child>,
    ) -> Result<Option<String>> {
        {
            let mut state = self.state();
            state.killed_at = None;
            state.left = Some((number, moment));
            state.victim = Some(spawn()?);
        }
        let status = until("the end of the command", LATER, || {
            let mut state = self.state();
            let victim = state.victim.as_mut().context("nothing was spawned")?;
            victim.try_wait()?.context("it still runs")
        })?;
        let mut state = self.state();
        state.left = None;
        ensure!(
            state.killed_at.is_some() || status.success(),
            "it ended by itself with {status}"
        );
        Ok(state.killed_at.take())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the process is to be killed at this request.
    fn is_due(&self, request: &str) -> Option<Moment> {
        let mut state = self.state();
        let (left, moment) = state.left?;
        if request.starts_with("GET ") || request.starts_with("HEAD ") {
            return None;
        }
        if left > 0 {
            state.left = Some((left - 1, moment));
            return None;
        }
        state.left = None;
        state.killed_at = Some(request.to_owned());
        Some(moment)
    }

    fn kill(&self) {
        if let Some(victim) = &mut self.state().victim {
            // It has not ended: it waits for an answer.
            let _ = victim.kill();
        }
    }

    /// Each connection has one request: both sides are told that it is the last.
    fn pass(&self, mut peer: UnixStream, target: &Path) -> io::Result<()> {
        let request = read_request(&mut peer)?;
        let text = String::from_utf8_lossy(&request);
        let due = self.is_due(text.lines().next().unwrap_or_default());
        if due == Some(Moment::Before) {
            self.kill();
            return Ok(());
        }
        let mut upstream = UnixStream::connect(target)?;
        let line = text.find("\r\n").map_or(0, |end| end + 2);
        upstream.write_all(&request[..line])?;
        upstream.write_all(b"connection: close\r\n")?;
        upstream.write_all(&request[line..])?;
        if due == Some(Moment::During) {
            self.kill();
            return Ok(());
        }
        let (mut from, mut to) = (peer.try_clone()?, upstream.try_clone()?);
        thread::spawn(move || io::copy(&mut from, &mut to));
        if due == Some(Moment::After) {
            // The head of the answer comes when the request was carried out.
            upstream.read_exact(&mut [0])?;
            self.kill();
            return Ok(());
        }
        io::copy(&mut upstream, &mut peer)?;
        Ok(())
    }
}

/// A request with its body.
fn read_request(peer: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        peer.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    peer.read_exact(&mut body)?;
    request.extend(body);
    Ok(request)
}
