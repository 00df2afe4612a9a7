//! HTTP clients: connection, trusted certificates, and limits of what is read. Deadlines belong to the caller.

mod download;
#[cfg(any(test, feature = "testing"))]
#[expect(clippy::unwrap_used, reason = "a failed test should panic")]
#[expect(clippy::disallowed_methods, reason = "a server of a test has a thread of its own")]
#[expect(clippy::missing_panics_doc, reason = "a failed test should panic")]
#[path = "http/tests/fake.rs"]
pub mod fake;
#[cfg(any(test, fuzzing))]
#[path = "http/tests/fuzzing.rs"]
pub mod fuzzing;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use agent_runtime::disk::{self, Disk};
use agent_runtime::wall;
use jiff::Timestamp;
use reqwest::header::{DATE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Request, RequestBuilder, Response};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use url::Url;

pub use self::download::download;

/// How long reading the authorities may take: about a hundred files.
const AUTHORITIES_LIMIT: Duration = Duration::from_secs(15);
/// How the agent names itself in requests.
pub const AGENT: &str = concat!("t0rn-agent/", env!("CARGO_PKG_VERSION"));

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("connection refused: nothing listens there")]
    Refused,
    #[error("its certificate is not trusted ({0}): is it valid, and its authority known to this host?")]
    Untrusted(String),
    #[error("no certificate authority of this host can be read: apt-get install ca-certificates")]
    NoAuthorities,
    /// A redirect that is not followed.
    #[error("{0}")]
    Redirect(String),
    #[error("no connection: {0}")]
    Lost(String),
    /// The response is not HTTP.
    #[error("no connection: {0}")]
    Garbage(String),
}

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the answer broke off: {0}")]
    Broken(String),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the answer is no text")]
    NoText,
}

/// Client for servers on this host or its link: plain HTTP, never through a proxy.
pub fn local() -> Result<ClientBuilder, RequestError> {
    Ok(builder(tls(RootCertStore::empty())?).no_proxy())
}

/// Client for remote servers, `url` the first of them, through the environment's proxy (`HTTPS_PROXY`, `HTTP_PROXY`,
/// `NO_PROXY`). `trusts` replaces the host's [`authorities`], which are read from disk where `url` is `https`.
pub fn internet(url: &Url, trusts: Option<Vec<CertificateDer<'static>>>) -> Result<ClientBuilder, RequestError> {
    let is_secure = url.scheme() == "https";
    let trusts = trusts.or_else(|| is_secure.then(authorities));
    let mut roots = RootCertStore::empty();
    // Unparsable certificates are skipped.
    roots.add_parsable_certificates(trusts.into_iter().flatten());
    if roots.is_empty() && is_secure {
        return Err(RequestError::NoAuthorities);
    }
    Ok(builder(tls(roots)?))
}

/// The host's certificate authorities, from its disk.
pub fn authorities() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// Sends a request. Every request of the daemon by this kind of client goes through here.
pub async fn execute(client: &Client, request: Request) -> Result<Response, RequestError> {
    #[cfg(feature = "simulation")]
    if let Some(network) = crate::simulation::network() {
        return crate::simulation::execute(&*network, request).await;
    }
    Ok(client.execute(request).await?)
}

/// As [`execute`], for a request that its client began.
pub async fn send(request: RequestBuilder) -> Result<Response, RequestError> {
    let (client, request) = request.build_split();
    execute(&client, request?).await
}

/// Client for one or two requests to `url`, built off the async threads. Not kept: the authorities take 100 kB.
pub async fn once(
    url: &Url,
    trusts: Option<Vec<CertificateDer<'static>>>,
    redirect: Policy,
) -> Result<Client, RequestError> {
    #[cfg(feature = "simulation")]
    if crate::simulation::network().is_some() {
        // It only carries the request to the simulated network.
        return Ok(local()?.build()?);
    }
    let url = url.clone();
    let build = move || Ok(internet(&url, trusts)?.redirect(redirect).build()?);
    built(build).await
}

/// A client whose making may read the authorities from the host's disk.
///
/// # Errors
/// The disk does not answer, or `build` failed.
pub async fn built(
    build: impl FnOnce() -> Result<Client, RequestError> + Send + 'static,
) -> Result<Client, RequestError> {
    let client = disk::run_long(Disk::System, AUTHORITIES_LIMIT, build).await;
    client.unwrap_or_else(|error| Err(RequestError::Lost(error.to_string())))
}

fn builder(tls: ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(AGENT)
        .redirect(Policy::none())
        .referer(false)
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, RequestError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|e| RequestError::Lost(e.to_string()))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    // The session cache would hold room for 256 servers.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// A whole body of at most `cap` bytes.
pub async fn bytes(mut response: Response, cap: usize) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| BodyError::Broken(innermost(&e)))? {
        if bytes.len() + chunk.len() > cap {
            return Err(BodyError::TooLarge(cap));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// As [`bytes`], as text.
pub async fn text(response: Response, cap: usize) -> Result<String, BodyError> {
    String::from_utf8(bytes(response, cap).await?).map_err(|_| BodyError::NoText)
}

/// `Retry-After`: seconds, or a date, which is compared with the server's own.
pub fn retry_after(response: &Response) -> Option<Duration> {
    let header = |name| response.headers().get(name)?.to_str().ok();
    let now = header(DATE).and_then(date);
    pause(header(RETRY_AFTER)?, now.unwrap_or_else(wall::now))
}

fn pause(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let wait = date(text)?.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or_default())
}

fn date(text: &str) -> Option<Timestamp> {
    Some(jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp())
}

/// An error and its causes, outermost first. Descends into what an [`io::Error`] wraps, which its `source` leaves out.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| {
        match error.downcast_ref().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

/// The innermost cause of an error.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// Whether the response was not HTTP.
pub fn is_garbage(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.downcast_ref().is_some_and(hyper::Error::is_parse))
}

/// The operating system's error kind, where an error goes back to one.
pub fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let io = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    io.last().map(io::Error::kind)
}

impl From<reqwest::Error> for RequestError {
    fn from(error: reqwest::Error) -> Self {
        // The URL may be a secret.
        let error = error.without_url();
        let untrusted = causes(&error).find_map(|cause| match cause.downcast_ref() {
            Some(rustls::Error::InvalidCertificate(why)) => Some(why.to_string()),
            _ => None,
        });
        match untrusted {
            Some(why) => Self::Untrusted(why),
            None if io_kind(&error) == Some(io::ErrorKind::ConnectionRefused) => Self::Refused,
            None if error.is_redirect() => Self::Redirect(innermost(&error)),
            None if is_garbage(&error) => Self::Garbage(innermost(&error)),
            None => Self::Lost(innermost(&error)),
        }
    }
}
