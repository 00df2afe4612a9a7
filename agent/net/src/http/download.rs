//! Client for downloads, which follows redirects, but not to where an answer from elsewhere must not lead.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::{Attempt, Policy};
use rustls::pki_types::CertificateDer;
use url::{Host, Url};

use super::{RequestError, built, internet};

const REDIRECTS: usize = 5;
/// EC2's metadata service by IPv6: a unique local address.
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

const DOWNGRADE: &str =
    "the server leads from https to http, where anyone can change what is sent: name an https address";

/// Why a redirect is not followed: the target is this host or its link, where services trust every client that reaches them.
#[derive(Debug, thiserror::Error)]
#[error("the server leads to {0}, an address of this host or its link: name that address, if it is meant")]
struct LocalTarget(String);

/// Client that follows a few redirects to `url`'s content, but none that leaves TLS, and none to a loopback or link-local
/// address unless `url` itself is at one; names are judged by what they resolve to when the connection is made. A
/// proxy of the environment resolves names by itself.
pub async fn download(url: &Url, trusts: Option<Vec<CertificateDer<'static>>>) -> Result<Client, RequestError> {
    let url = url.clone();
    let build = move || {
        let targets = Arc::new(Targets::new(&url));
        let policy = Arc::clone(&targets);
        let client = internet(&url, trusts)?
            .redirect(Policy::custom(move |attempt| policy.judge(attempt)))
            .dns_resolver(Arc::new(Resolver(targets)));
        Ok(client.build()?)
    };
    built(build).await
}

/// Whom redirects of one client may lead to.
#[derive(Debug)]
struct Targets {
    origin: String,
    /// Whether the origin is on this host or its link.
    local_origin: Mutex<bool>,
    /// Names that redirects led to.
    names: Mutex<BTreeSet<String>>,
}

impl Targets {
    fn new(origin: &Url) -> Self {
        Self {
            origin: origin.host_str().unwrap_or_default().to_owned(),
            local_origin: Mutex::new(literal(origin).is_some_and(is_local)),
            names: Mutex::default(),
        }
    }

    fn judge(&self, attempt: Attempt) -> reqwest::redirect::Action {
        let was_secure = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        if attempt.previous().len() > REDIRECTS {
            return attempt.error("too many redirects");
        }
        if was_secure && attempt.url().scheme() != "https" {
            return attempt.error(DOWNGRADE);
        }
        let host = attempt.url().host_str().unwrap_or_default().to_owned();
        match literal(attempt.url()) {
            Some(address) if is_local(address) && !self.has_local_origin() => attempt.error(LocalTarget(host)),
            Some(_) => attempt.follow(),
            None => {
                let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
                names.insert(host);
                attempt.follow()
            }
        }
    }

    fn has_local_origin(&self) -> bool {
        *self.local_origin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What of `found` may be connected to.
    fn allowed(&self, name: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, LocalTarget> {
        if name == self.origin {
            let is_local = found.iter().any(|address| is_local(address.ip()));
            *self.local_origin.lock().unwrap_or_else(PoisonError::into_inner) |= is_local;
            return Ok(found);
        }
        // Names of no redirect are those of proxies.
        let redirected = self.names.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
        if !redirected || self.has_local_origin() || !found.iter().any(|address| is_local(address.ip())) {
            return Ok(found);
        }
        Err(LocalTarget(name.to_owned()))
    }

    async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found: Vec<_> = tokio::net::lookup_host((name, 0)).await?.collect();
        // What an io::Error wraps is found again by `causes`.
        Ok(self.allowed(name, found).map_err(io::Error::other)?)
    }
}

/// The host's resolver, for what the targets allow.
struct Resolver(Arc<Targets>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let targets = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses = targets.addresses(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The address that stands in the URL in place of a name.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Whether an address is this host's or its link's. An unspecified one reaches this host, too.
pub(super) fn is_local(address: IpAddr) -> bool {
    let of_v4 = |v4: Ipv4Addr| v4.is_loopback() || v4.is_link_local() || v4.is_unspecified();
    match address {
        IpAddr::V4(v4) => of_v4(v4),
        IpAddr::V6(v6) => {
            let own = v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified() || v6 == METADATA;
            own || v6.to_ipv4_mapped().is_some_and(of_v4)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]

    use tokio::io::AsyncWriteExt as _;

    use super::super::fake;
    use super::*;

    /// A server that sends everybody to `target`.
    async fn leading_to(target: String) -> SocketAddr {
        fake::serve(move |_, mut stream| {
            let answer = fake::answer(302, &format!("location: {target}\r\n"), b"");
            async move {
                fake::request(&mut stream).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        })
        .await
    }

    async fn serving() -> SocketAddr {
        fake::serve(|_, mut stream| async move {
            fake::request(&mut stream).await.unwrap();
            stream.write_all(&fake::answer(200, "", b"here")).await.unwrap();
        })
        .await
    }

    /// What comes of a request whose origin counts as being at `origin`, while it is connected to `server`.
    async fn get(origin: &str, server: SocketAddr) -> Result<u16, String> {
        let url = Url::parse(origin).unwrap();
        let targets = Arc::new(Targets::new(&url));
        let policy = Arc::clone(&targets);
        let client = internet(&url, None).unwrap().no_proxy();
        let client = client.redirect(Policy::custom(move |attempt| policy.judge(attempt)));
        let client = client
            .dns_resolver(Arc::new(Resolver(targets)))
            .resolve("origin.test", server);
        let answer = client.build().unwrap().get(url).send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(|error| {
            let error: &(dyn std::error::Error + 'static) = &error;
            super::super::innermost(error)
        })
    }

    #[tokio::test]
    async fn redirect_from_elsewhere_to_this_host_or_its_link_is_refused() {
        let port = serving().await.port();
        for host in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "[::1]",
            "[fe80::1]",
            "[::ffff:127.0.0.1]",
            "[fd00:ec2::254]",
            "2130706433",
            "localhost",
        ] {
            let server = leading_to(format!("http://{host}:{port}/latest/meta-data")).await;
            let refused = get(&format!("http://origin.test:{}/", server.port()), server)
                .await
                .unwrap_err();
            assert!(
                refused.contains("an address of this host or its link"),
                "{host}: {refused}"
            );
        }
    }

    #[tokio::test]
    async fn redirect_between_local_addresses_is_followed() {
        let port = serving().await.port();
        let server = leading_to(format!("http://127.0.0.1:{port}/")).await;
        for origin in [
            format!("http://{server}/"),
            format!("http://localhost:{}/", server.port()),
        ] {
            assert_eq!(get(&origin, server).await, Ok(200), "{origin}");
        }
    }

    #[test]
    fn name_is_judged_by_its_addresses_at_each_connection() {
        let targets = Targets::new(&Url::parse("https://snapshots.example/x").unwrap());
        let at = |text: &str| vec![SocketAddr::new(text.parse().unwrap(), 0)];
        assert!(
            targets.allowed("proxy.example", at("127.0.0.1")).is_ok(),
            "a proxy is no redirect"
        );
        targets.names.lock().unwrap().insert("cdn.example".to_owned());
        assert!(targets.allowed("cdn.example", at("192.0.2.1")).is_ok());
        for local in ["127.0.0.1", "169.254.169.254", "fe80::1", "::ffff:169.254.169.254"] {
            assert!(targets.allowed("cdn.example", at(local)).is_err(), "{local}");
        }
        assert!(targets.allowed("snapshots.example", at("10.0.0.1")).is_ok());
        assert!(
            targets.allowed("snapshots.example", at("127.0.0.1")).is_ok(),
            "it was asked for"
        );
        assert!(
            targets.allowed("cdn.example", at("127.0.0.1")).is_ok(),
            "from one local address to another"
        );
    }
}
