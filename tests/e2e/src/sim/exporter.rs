//! One chain's exporter, which answers well or badly as it is told.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::Chain;
use super::control::Answer;
use super::page::Page;
use super::process::Shared;
use super::{http, log};

/// Connections served at once; more are closed.
const CONNECTIONS: usize = 128;
/// An idle connection is closed after this; a peer that does not read is given up after it.
const IDLE: Duration = Duration::from_mins(1);
/// How often a silent connection looks whether it may speak.
const LOOK: Duration = Duration::from_millis(200);

/// Serves until the process ends.
pub(super) fn serve(shared: &Arc<Shared>, chain: Chain, port: u16, page: Page) {
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let page = Arc::new(page);
    let open = Arc::new(AtomicUsize::new(0));
    let mut announced = false;
    loop {
        shared.wait_while(|state| state.answer(chain) == Answer::Refuse);
        let listener = match TcpListener::bind(address) {
            Ok(listener) => listener,
            Err(e) if !announced => {
                // The node runs on without metrics too.
                log::line(&format!("{} Error binding to '{address}': {e}", chain.tag()));
                return;
            }
            Err(_) => {
                thread::sleep(LOOK);
                continue;
            }
        };
        if !announced {
            announced = true;
            log::exporter_started(chain, address);
        }
        for stream in listener.incoming() {
            if shared.answer(chain) == Answer::Refuse {
                break;
            }
            let Ok(stream) = stream else { continue };
            if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (shared, page, open) = (Arc::clone(shared), Arc::clone(&page), Arc::clone(&open));
            thread::spawn(move || {
                // The peer gave up, or was told to: either way the connection is over.
                let _ = converse(&shared, chain, stream, &page);
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

/// Makes an exporter that waits for a connection notice that it shall not listen any more.
pub(super) fn wake(port: u16) {
    let _ = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LOOK);
}

fn converse(shared: &Shared, chain: Chain, mut stream: TcpStream, page: &Page) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(IDLE))?;
    loop {
        stream.set_read_timeout(Some(IDLE))?;
        let Some(request) = http::read_request(&mut stream)? else {
            return Ok(());
        };
        if !request.path.starts_with("/metrics") {
            http::answer(&mut stream, 404, b"Not found.")?;
            continue;
        }
        while shared.answer(chain) == Answer::Hang {
            wait(&stream, LOOK)?;
        }
        let body = || page.render(&shared.view(chain));
        match shared.answer(chain) {
            Answer::Ok => http::answer(&mut stream, 200, body().as_bytes())?,
            Answer::Hang => {}
            Answer::Refuse | Answer::Reset => return Ok(()),
            Answer::Slow { delay_ms } => {
                wait(&stream, Duration::from_millis(delay_ms))?;
                http::answer(&mut stream, 200, body().as_bytes())?;
            }
            Answer::Drip => {
                http::write_head(&mut stream, 200, None)?;
                for line in body().lines().cycle() {
                    writeln!(stream, "{line}")?;
                    wait(&stream, LOOK)?;
                }
            }
            Answer::Garbage => {
                let noise: Vec<u8> = (0..100_000_u32)
                    .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
                    .collect();
                http::answer(&mut stream, 200, &noise)?;
            }
            Answer::Truncated => {
                let body = body();
                http::write_head(&mut stream, 200, Some(body.len()))?;
                return stream.write_all(&body.as_bytes()[..body.len() / 2]);
            }
            Answer::Cut => {
                let body = body();
                http::answer(&mut stream, 200, &body.as_bytes()[..body.len() / 2])?;
            }
            Answer::Empty => http::answer(&mut stream, 200, b"")?,
            Answer::Status { code } => http::answer(&mut stream, code, b"simulated\n")?,
            Answer::Huge { bytes, newlines } => {
                http::write_head(&mut stream, 200, None)?;
                return huge(&mut stream, &body(), bytes, newlines);
            }
        }
    }
}

/// Waits, and fails when the peer closes the connection meanwhile.
fn wait(stream: &TcpStream, time: Duration) -> io::Result<()> {
    stream.set_read_timeout(Some(time.max(Duration::from_millis(1))))?;
    match stream.peek(&mut [0]) {
        Ok(0) => Err(io::ErrorKind::ConnectionReset.into()),
        Ok(_) => {
            thread::sleep(time);
            Ok(())
        }
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(()),
        Err(e) => Err(e),
    }
}

/// The page over and over until `bytes` are sent.
fn huge(stream: &mut TcpStream, page: &str, bytes: u64, newlines: bool) -> io::Result<()> {
    let block = if newlines {
        page.to_owned()
    } else {
        page.replace('\n', " ")
    };
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        stream.write_all(&block.as_bytes()[..part])?;
        left -= part as u64;
    }
    Ok(())
}
