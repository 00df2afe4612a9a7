//! Ports, users, URLs and names, by the rules of Docker, AWS and the network.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use url::Url;

use crate::error::ValueError;
use crate::types::{ContainerUser, PublishedPort};

const PORT: &str = "write \"HOST:CONTAINER\" or \"ADDRESS:HOST:CONTAINER\", with /tcp or /udp at will";

/// A published port.
pub(crate) fn port(text: &str) -> Result<PublishedPort, ValueError> {
    let invalid = |what: &str| ValueError::text(text, what, PORT);
    let (ends, protocol) = match text.split_once('/') {
        None => (text, "tcp"),
        Some((ends, "tcp")) => (ends, "tcp"),
        Some((ends, "udp")) => (ends, "udp"),
        Some(_) => return Err(invalid("names a protocol that is neither tcp nor udp")),
    };
    let (rest, container) = ends.rsplit_once(':').ok_or_else(|| invalid("names one port only"))?;
    let (address, host) = match rest.rsplit_once(':') {
        Some((address, host)) => {
            let bare = address
                .strip_prefix('[')
                .and_then(|a| a.strip_suffix(']'))
                .unwrap_or(address);
            let parsed = bare.parse::<IpAddr>().ok().filter(|a| a.is_ipv4() == (bare == address));
            (Some(parsed.ok_or_else(|| invalid("names no valid address"))?), host)
        }
        None => (None, rest),
    };
    match (number(host), number(container)) {
        (Some(host @ 1..), Some(container @ 1..)) => Ok(PublishedPort {
            address,
            host,
            container,
            protocol,
        }),
        _ => Err(invalid("has a port outside 1 to 65535")),
    }
}

/// `UID:GID`.
pub(crate) fn user(text: &str) -> Result<ContainerUser, ValueError> {
    // The kernel reserves 2^32 - 1 for "no id".
    let id = |digits: &str| number(digits).filter(|id| *id != u32::MAX);
    let remedy = "write UID:GID in numbers, such as \"1000:1000\", or \"\" for the image's own user";
    let ids = text.split_once(':').and_then(|(uid, gid)| Some((id(uid)?, id(gid)?)));
    let (uid, gid) = ids.ok_or_else(|| ValueError::text(text, "is no user", remedy))?;
    Ok(ContainerUser { uid, gid })
}

/// The name of a host, in lower case.
pub(crate) fn host_name(text: &str) -> Result<String, ValueError> {
    let label = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !text.split('.').all(label) {
        let remedy = "write the name alone, such as \"collator-1.example.com\", without scheme and port";
        return Err(ValueError::text(text, "is no name of a host", remedy));
    }
    Ok(text.to_ascii_lowercase())
}

/// A Linux capability, without `CAP_`.
pub(crate) fn capability(text: &str) -> Result<String, ValueError> {
    let name = text.strip_prefix("CAP_").unwrap_or(text);
    let plain = name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    if name.is_empty() || !plain {
        let remedy = "write its name in capitals, such as \"NET_BIND_SERVICE\"";
        return Err(ValueError::text(text, "is no capability", remedy));
    }
    Ok(name.to_owned())
}

/// Digits without a sign.
fn number<T: FromStr>(digits: &str) -> Option<T> {
    digits.parse().ok().filter(|_| !digits.starts_with('+'))
}

/// The name of a container or a network.
pub(crate) fn name(text: &str) -> Result<String, ValueError> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && (2..=128).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    let remedy = "write 2 to 128 letters, digits, dots, dashes or underscores, the first a letter or digit";
    Err(ValueError::text(text, "is no name", remedy))
}

/// The network that the container joins.
pub(crate) fn network(text: &str) -> Result<String, ValueError> {
    if text == "none" {
        let remedy = "write bridge, host or a network's name: a collator needs peers, and the agent its exporters";
        return Err(ValueError::text(text, "cuts the collator off", remedy));
    }
    name(text)
}

/// Prefix of metric names.
pub(crate) fn prefix(text: &str) -> Result<String, ValueError> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let fits = first && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits && !text.ends_with('_') {
        return Ok(text.to_owned());
    }
    let remedy = "write what stands before _block_height on the exporter's page, such as \"substrate\"";
    Err(ValueError::text(text, "is no prefix of metric names", remedy))
}

/// The address of the agent's own exporter.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, ValueError> {
    let remedy = "write ADDRESS:PORT in numbers, such as \"127.0.0.1:9733\", or \"\" to turn it off";
    text.parse()
        .map_err(|_| ValueError::text(text, "is no address", remedy))
}

/// The URL of a service on this host: `http://` only.
pub(crate) fn http(text: &str) -> Result<String, ValueError> {
    let invalid = |what: &str| Err(ValueError::text(text, what, "write http://HOST:PORT/PATH"));
    let Ok(url) = Url::parse(text) else {
        return invalid("is no URL");
    };
    if url.scheme() != "http" {
        return invalid("is no http URL");
    }
    if has_credentials(&url) || url.fragment().is_some() {
        // It may be a password: it is not shown.
        let remedy = "write http://HOST:PORT/PATH alone";
        return Err(ValueError::new("a URL with a user, a password or a fragment", remedy));
    }
    Ok(text.to_owned())
}

/// The URL of a webhook: a secret, so that no error shows it.
pub(crate) fn webhook(text: &str) -> Result<String, ValueError> {
    let invalid = |found: &str| Err(ValueError::new(found, "write https://HOST/PATH, or \"\" for none"));
    match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "https" | "http") => invalid("what is there is no URL"),
        Ok(url) if has_credentials(&url) => invalid("a webhook with a user or a password"),
        Ok(_) => Ok(text.to_owned()),
        Err(_) => invalid("what is there is no URL"),
    }
}

/// The URL of a reference: perhaps a secret, so that no error shows it.
pub(crate) fn reference(text: &str) -> Result<Url, ValueError> {
    let remedy = "write https://HOST/ of a JSON-RPC endpoint, or http://HOST:PORT/metrics of a node or an agent";
    let invalid = |found: &str| ValueError::new(found, remedy);
    let url = Url::parse(text).map_err(|_| invalid("what is there is no URL"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(invalid(match url.scheme() {
            "wss" | "ws" => "a WebSocket URL; the same port answers HTTP",
            _ => "what is there is no http or https URL",
        }));
    }
    if has_credentials(&url) || url.fragment().is_some() {
        return Err(invalid("a URL with a user, a password or a fragment"));
    }
    Ok(url)
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// The id of an EBS volume.
pub(crate) fn volume(text: &str) -> Result<String, ValueError> {
    let digits = text.strip_prefix("vol-").unwrap_or_default();
    let hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    if (8..=17).contains(&digits.len()) && digits.bytes().all(hex) {
        return Ok(text.to_owned());
    }
    let remedy = "write it as AWS does, such as \"vol-0123456789abcdef0\"";
    Err(ValueError::text(text, "is no volume", remedy))
}

/// The name of a lifecycle hook.
pub(crate) fn hook(text: &str) -> Result<String, ValueError> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
    if text.len() <= 255 && text.chars().all(is_good) {
        return Ok(text.to_owned());
    }
    let remedy = "write letters, digits, `-`, `_` and `/`, as in the auto scaling group";
    Err(ValueError::text(text, "is no name of a lifecycle hook", remedy))
}

/// The name of an environment variable.
pub(crate) fn variable(text: &str) -> Result<(), ValueError> {
    if text.is_empty() || text.contains(['=', '\0']) {
        return Err(ValueError::new("no name of a variable", "write one without = in it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_port_in_every_notation_of_docker_is_read() {
        let local = |address: &str| Some(address.parse().unwrap());
        for (text, address, host, container, protocol) in [
            ("33333:33333/tcp", None, 33333, 33333, "tcp"),
            ("30333:30334/udp", None, 30333, 30334, "udp"),
            ("127.0.0.1:7001:7002", local("127.0.0.1"), 7001, 7002, "tcp"),
            ("[::1]:9615:9616/tcp", local("::1"), 9615, 9616, "tcp"),
        ] {
            assert_eq!(
                port(text),
                Ok(PublishedPort {
                    address,
                    host,
                    container,
                    protocol
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn invalid_published_port_is_refused() {
        for text in [
            "",
            "7001",
            "0:1",
            "1:0",
            "65536:1",
            "+1:1",
            "a:b",
            "1:2/sctp",
            "1:2/",
            "x:1:2",
            "::1:1:2",
            "[127.0.0.1]:1:2",
        ] {
            assert!(port(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_port_user_or_url_never_panics(text in ".{0,60}") {
            let _ = (port(&text), user(&text), listen(&text), http(&text), webhook(&text));
        }
    }
}
