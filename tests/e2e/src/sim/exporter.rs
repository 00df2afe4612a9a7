//! One chain's exporter, which answers well or badly as it is told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::control::Answer;
use super::page::Page;
use super::process::Shared;
use super::{Chain, log};
use crate::http_server::{self, Request, answer, broken, converse};

/// How often it is looked whether the exporter is to answer, or to listen.
const LOOK: Duration = Duration::from_millis(100);

/// Serves until the process ends.
pub(super) fn serve(shared: &Arc<Shared>, chain: Chain, port: u16, page: Page) {
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    match http_server::runtime() {
        Ok(runtime) => runtime.block_on(listen(shared, chain, address, Arc::new(page))),
        Err(e) => log::line(&format!("{} Error: {e}", chain.tag())),
    }
}

async fn listen(shared: &Arc<Shared>, chain: Chain, address: SocketAddr, page: Arc<Page>) {
    let mut announced = false;
    loop {
        let refuses = || shared.answer(chain) == Answer::Refuse;
        while refuses() {
            sleep(LOOK).await;
        }
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(e) if !announced => {
                // The node runs on without metrics too.
                log::line(&format!("{} Error binding to '{address}': {e}", chain.tag()));
                return;
            }
            Err(_) => {
                sleep(LOOK).await;
                continue;
            }
        };
        if !announced {
            announced = true;
            log::exporter_started(chain, address);
        }
        while !refuses() {
            if let Ok(Ok((stream, _))) = timeout(LOOK, listener.accept()).await {
                let (shared, page) = (Arc::clone(shared), Arc::clone(&page));
                tokio::spawn(async move { converse(stream, |request| respond(&shared, chain, &page, request)).await });
            }
        }
    }
}

async fn respond(shared: &Shared, chain: Chain, page: &Page, request: Request) -> http_server::Answer {
    if !request.uri.path().starts_with("/metrics") {
        return answer(404, "Not found.");
    }
    while shared.answer(chain) == Answer::Hang {
        sleep(LOOK).await;
    }
    let body = || page.render(&shared.view(chain));
    let half = |mut body: String| {
        body.truncate(body.len() / 2);
        body
    };
    let body = match shared.answer(chain) {
        Answer::Refuse | Answer::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
        Answer::Slow { delay_ms } => {
            sleep(Duration::from_millis(delay_ms)).await;
            body().into()
        }
        Answer::Drip => drip(&body()),
        Answer::Garbage => {
            let noise = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
            noise.collect::<Vec<_>>().into()
        }
        Answer::Truncated => {
            let body = body();
            let length = HeaderValue::from(body.len());
            let mut response = exposition(broken(half(body)));
            response.headers_mut().insert(CONTENT_LENGTH, length);
            return Ok(response);
        }
        Answer::Cut => half(body()).into(),
        Answer::Empty => Body::empty(),
        Answer::Status { code } => return answer(code, "simulated\n"),
        Answer::Huge { bytes, newlines } => huge(body(), bytes, newlines),
        Answer::Ok | Answer::Hang => body().into(),
    };
    Ok(exposition(body))
}

/// A page of metrics.
fn exposition(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let text = HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// The lines of a page again and again, one at a time.
fn drip(page: &str) -> Body {
    let lines: Vec<_> = page.lines().map(|line| Bytes::from(format!("{line}\n"))).collect();
    Body::from_stream(stream::unfold(0, move |n| {
        let line = lines.get(n % lines.len().max(1)).cloned();
        async move {
            sleep(2 * LOOK).await;
            Some((io::Result::Ok(line?), n + 1))
        }
    }))
}

/// The page over and over until `bytes` are sent.
fn huge(page: String, bytes: u64, newlines: bool) -> Body {
    let block = Bytes::from(if newlines { page } else { page.replace('\n', " ") });
    Body::from_stream(stream::unfold(bytes, move |left| {
        let part = block.slice(..usize::try_from(left).unwrap_or(usize::MAX).min(block.len()));
        let next = (left > 0).then(|| (io::Result::Ok(part.clone()), left - part.len() as u64));
        std::future::ready(next)
    }))
}
