//! Ports, URLs and the other names that Docker and the network have rules for.

use std::net::{IpAddr, SocketAddr};

use super::problem::Invalid;
use super::values::quoted;
use super::{Port, User};

const PORT: &str = "write \"HOST:CONTAINER\" or \"ADDRESS:HOST:CONTAINER\", with /tcp or /udp at will";

/// A published port.
pub(super) fn port(text: &str) -> Result<Port, Invalid> {
    let invalid = |what: &str| Invalid::new(format!("{} {what}", quoted(text)), PORT);
    let (ends, protocol) = match text.split_once('/') {
        None | Some((_, "tcp")) => (text.strip_suffix("/tcp").unwrap_or(text), "tcp"),
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
    let number = |digits: &str| {
        digits
            .parse()
            .ok()
            .filter(|port| *port != 0u16 && !digits.starts_with('+'))
    };
    match (number(host), number(container)) {
        (Some(host), Some(container)) => Ok(Port {
            address,
            host,
            container,
            protocol,
        }),
        _ => Err(invalid("has a port outside 1 to 65535")),
    }
}

/// `UID:GID`.
pub(super) fn user(text: &str) -> Result<User, Invalid> {
    let ids = text.split_once(':').and_then(|(uid, gid)| {
        Some(User {
            uid: id(uid)?,
            gid: id(gid)?,
        })
    });
    ids.ok_or_else(|| {
        let remedy = "write UID:GID in numbers, such as \"1000:1000\", or \"\" for the image's own user";
        Invalid::new(format!("{} is no user", quoted(text)), remedy)
    })
}

/// A container's or a network's name.
pub(super) fn name(text: &str) -> Result<String, Invalid> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && (2..=128).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        format!("{} is no name", quoted(text)),
        "write 2 to 128 letters, digits, dots, dashes or underscores, the first a letter or digit",
    ))
}

/// The network a container joins.
pub(super) fn network(text: &str) -> Result<String, Invalid> {
    if text == "none" {
        let remedy = "write bridge, host or a network's name: a collator needs peers, and the agent its exporters";
        return Err(Invalid::new("\"none\" cuts the collator off", remedy));
    }
    name(text)
}

/// Prefix of metric names.
pub(super) fn prefix(text: &str) -> Result<String, Invalid> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let fits = first && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits && !text.ends_with('_') {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        format!("{} is no prefix of metric names", quoted(text)),
        "write what stands before _block_height on the exporter's page, such as \"substrate\"",
    ))
}

/// Where the agent listens; `""` is nowhere.
pub(super) fn listen(text: &str) -> Result<Option<SocketAddr>, Invalid> {
    match text {
        "" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| {
            let remedy = "write ADDRESS:PORT in numbers, such as \"127.0.0.1:9733\", or \"\" to turn it off";
            Invalid::new(format!("{} is no address", quoted(text)), remedy)
        }),
    }
}

/// A URL of a service on this host: `http://` only.
pub(super) fn http(text: &str) -> Result<String, Invalid> {
    let invalid = |what: &str, remedy: &str| Err(Invalid::new(format!("{} {what}", quoted(text)), remedy));
    let Ok(url) = url::Url::parse(text) else {
        return invalid("is no URL", "write http://HOST:PORT/PATH");
    };
    if url.scheme() != "http" {
        return invalid("is no http URL", "write http://HOST:PORT/PATH");
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        // It may be a password: it is not shown.
        let remedy = "write http://HOST:PORT/PATH alone";
        return Err(Invalid::new("a URL with a user, a password or a fragment", remedy));
    }
    Ok(text.to_owned())
}

/// The id of an EBS volume.
pub(super) fn volume(text: &str) -> Result<String, Invalid> {
    let digits = text.strip_prefix("vol-").unwrap_or_default();
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if (8..=17).contains(&digits.len()) && digits.bytes().all(hex) {
        return Ok(text.to_owned());
    }
    let remedy = "write it as AWS does, such as \"vol-0123456789abcdef0\"";
    Err(Invalid::new(format!("{} is no volume", quoted(text)), remedy))
}

/// The name of a lifecycle hook.
pub(super) fn hook(text: &str) -> Result<String, Invalid> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
    if text.len() > 255 || !text.chars().all(is_good) {
        let remedy = "write letters, digits, `-`, `_` and `/`, as in the auto scaling group";
        return Err(Invalid::new(
            format!("{} is no name of a lifecycle hook", quoted(text)),
            remedy,
        ));
    }
    Ok(text.to_owned())
}

/// The URL of a webhook: a secret, so that no error shows it.
pub(super) fn webhook(text: &str) -> Result<String, Invalid> {
    let remedy = "write https://HOST/PATH, or \"\" for none";
    match url::Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "https" | "http") => Err(Invalid::new("what is there is no URL", remedy)),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err(Invalid::new("a webhook with a user or a password", remedy))
        }
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Invalid::new("what is there is no URL", remedy)),
    }
}

/// An environment variable's name.
pub(super) fn variable(text: &str) -> Result<(), Invalid> {
    if !text.is_empty() && !text.contains(['=', '\0']) {
        return Ok(());
    }
    Err(Invalid::new("no name of a variable", "write one without = in it"))
}

fn id(digits: &str) -> Option<u32> {
    // 2^32 - 1 is the kernel's word for "no such id".
    digits
        .parse()
        .ok()
        .filter(|id| *id != u32::MAX && !digits.starts_with('+'))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ports_read_in_every_form_of_docker() {
        let local = |address: &str| Some(address.parse().unwrap());
        for (text, address, host, container, protocol) in [
            ("33333:33333/tcp", None, 33333, 33333, "tcp"),
            ("30333:30334/udp", None, 30333, 30334, "udp"),
            ("127.0.0.1:7001:7002", local("127.0.0.1"), 7001, 7002, "tcp"),
            ("[::1]:9615:9616/tcp", local("::1"), 9615, 9616, "tcp"),
        ] {
            assert_eq!(
                port(text),
                Ok(Port {
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
    fn what_is_no_port_is_refused() {
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
        fn no_text_makes_a_reader_panic(text in ".{0,60}") {
            let _ = (port(&text), user(&text), listen(&text), http(&text), webhook(&text));
        }
    }
}
