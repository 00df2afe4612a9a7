//! What all HTTP clients of the agent have in common.

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

/// A client for services that are reached directly and speak plain HTTP/1.1. It follows no redirects and
/// trusts no certificate: the host's authorities are not even read.
pub(crate) fn plain() -> ClientBuilder {
    base().no_proxy().redirect(Policy::none()).tls_certs_only([])
}

/// A client for services of others, over https as the host's own certificate authorities vouch for, and through
/// a proxy where the environment names one. It follows no redirects.
///
/// Building it reads the authorities from the disk, and fails for want of any.
pub(crate) fn public() -> ClientBuilder {
    base().redirect(Policy::none())
}

fn base() -> ClientBuilder {
    // Refused where it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("t0rn-agent/", env!("CARGO_PKG_VERSION")))
        .http1_only()
}
