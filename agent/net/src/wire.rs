//! One request over a connection of its own, plain or TLS.
//!
//! The clients of the exporters speak no TLS, and know nothing of it: what is only needed now and then is only
//! touched, and only takes memory, when it is.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::header::{HOST, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Position, Url};

use crate::http::innermost;

const AGENT: &str = concat!("t0rn-agent/", env!("CARGO_PKG_VERSION"));

pub type Answer = Response<Incoming>;

/// How connections are made.
#[derive(Debug, Clone, Default)]
pub struct Wire {
    /// Certificates to trust instead of the host's authorities.
    pub trusts: Option<Vec<CertificateDer<'static>>>,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("connection refused: nothing listens there")]
    Refused,
    #[error("its certificate is not trusted ({0}): is it valid, and its authority known to this host?")]
    Untrusted(String),
    #[error("no certificate authority of this host can be read: apt-get install ca-certificates")]
    NoAuthorities,
    #[error("no connection: {0}")]
    Lost(String),
}

/// A connection, whatever it is made of.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Wire {
    /// Sends `body` with these headers beside the usual ones, and returns the head of the answer; its body is still to
    /// be read.
    pub async fn post(&self, url: &Url, headers: &[(&str, &str)], body: String) -> Result<Answer, Broken> {
        self.send(Method::POST, url, headers, Body::from(body)).await
    }

    /// As [`Wire::post`], with any method.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Answer, Broken> {
        let lost = |what: &dyn std::fmt::Display| Broken::Lost(what.to_string());
        let stream = TokioIo::new(self.connect(url).await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
            .await
            .map_err(|e| lost(&innermost(&e)))?;
        // Ends with the answer's body, or when the caller gives up on it.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(&url[Position::BeforePath..Position::AfterQuery])
            .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
            .header(USER_AGENT, AGENT);
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(body).map_err(|e| lost(&e))?;
        sender.send_request(request).await.map_err(|e| lost(&innermost(&e)))
    }

    async fn connect(&self, url: &Url) -> Result<Box<dyn Stream>, Broken> {
        let port = url.port_or_known_default().unwrap_or_default();
        let (host, name) = match url.host() {
            Some(Host::Domain(name)) => (name.to_owned(), ServerName::try_from(name.to_owned())),
            Some(Host::Ipv4(ip)) => (ip.to_string(), Ok(IpAddr::from(ip).into())),
            Some(Host::Ipv6(ip)) => (ip.to_string(), Ok(IpAddr::from(ip).into())),
            None => return Err(Broken::Lost("the URL names no host".to_owned())),
        };
        let tcp = TcpStream::connect((host, port)).await.map_err(|e| broken(&e))?;
        if url.scheme() != "https" {
            return Ok(Box::new(tcp));
        }
        let name = name.map_err(|e| Broken::Lost(e.to_string()))?;
        let this = self.clone();
        // Reads the authorities from the disk; nothing of them stays in memory afterwards.
        let config = tokio::task::spawn_blocking(move || this.tls()).await;
        let config = config.map_err(|e| Broken::Lost(e.to_string()))??;
        let connector = TlsConnector::from(Arc::new(config));
        let tls = connector.connect(name, tcp).await.map_err(|e| broken(&e))?;
        Ok(Box::new(tls))
    }

    fn tls(&self) -> Result<ClientConfig, Broken> {
        let authorities = self.trusts.clone();
        let authorities = authorities.unwrap_or_else(|| rustls_native_certs::load_native_certs().certs);
        let mut roots = RootCertStore::empty();
        // One that cannot be read vouches for nobody.
        roots.add_parsable_certificates(authorities);
        if roots.is_empty() {
            return Err(Broken::NoAuthorities);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|e| Broken::Lost(e.to_string()))?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

fn broken(error: &io::Error) -> Broken {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => Broken::Untrusted(why.to_string()),
        _ if error.kind() == io::ErrorKind::ConnectionRefused => Broken::Refused,
        _ => Broken::Lost(error.to_string()),
    }
}
