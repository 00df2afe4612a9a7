//! One HTTP/1.1 request over a connection of its own, with a read buffer of fixed size.
//!
//! The buffer of the HTTP client that everything else uses grows with the page, and the allocator keeps what it grew to.

use std::error::Error;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Position, Url};

/// Size of the read buffer, bytes: also the largest head of a response.
const READ_BUFFER: usize = 16 << 10;

/// A response, and the connection that it comes over, which is closed with it.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    _sender: SendRequest<Empty<&'static [u8]>>,
    _connection: AbortOnDropHandle<()>,
}

impl Answer {
    /// The next part of the body; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, hyper::Error> {
        while let Some(frame) = self.response.frame().await {
            // Trailers are no part of the page.
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// Requests an `http://` URL. Tries all addresses of its host, never a proxy, and follows no redirect.
pub(super) async fn get(url: &Url) -> Result<Answer, Box<dyn Error + Send + Sync>> {
    #[cfg(feature = "simulation")]
    if let Some(network) = agent_net::simulation::network() {
        let stream = network.connect(&url[Position::BeforeHost..Position::AfterPort]).await?;
        return request(url, stream).await;
    }
    let port = url.port_or_known_default().unwrap_or(80);
    let stream = match url.host().ok_or("a URL without a host")? {
        Host::Domain(name) => TcpStream::connect((name, port)).await?,
        Host::Ipv4(address) => TcpStream::connect((address, port)).await?,
        Host::Ipv6(address) => TcpStream::connect((address, port)).await?,
    };
    request(url, stream).await
}

async fn request(
    url: &Url,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Answer, Box<dyn Error + Send + Sync>> {
    let mut builder = Builder::new();
    builder.read_buf_exact_size(Some(READ_BUFFER));
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async {
        // Its error is the response's as well.
        let _ = connection.await;
    }));
    let request = Request::get(&url[Position::BeforePath..Position::AfterQuery])
        .header(header::HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(header::USER_AGENT, agent_net::http::AGENT)
        .header(header::ACCEPT, "*/*")
        .body(Empty::new())?;
    let response = sender.send_request(request).await?;
    Ok(Answer {
        response,
        _sender: sender,
        _connection: connection,
    })
}
