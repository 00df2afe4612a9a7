//! Published ports in both notations of a compose file.

use std::net::IpAddr;

use agent_docker::ExistingPort;
use anyhow::Context as _;

use super::yaml::Yaml;

pub(super) fn ports(value: &Yaml) -> anyhow::Result<Vec<ExistingPort>> {
    let Yaml::List(entries) = value else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for entry in entries {
        let found = match entry {
            Yaml::Text(text) => short(text).with_context(|| format!("ports: {text} is none")),
            long => self::long(long).context("ports: an entry without a port as its target"),
        };
        all.extend(found?);
    }
    Ok(all)
}

/// `[ADDRESS:][HOST:]CONTAINER[/PROTOCOL]`, each port perhaps a range.
fn short(text: &str) -> Option<Vec<ExistingPort>> {
    let (ends, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (rest, container) = ends
        .rsplit_once(':')
        .map_or((None, ends), |(rest, container)| (Some(rest), container));
    let (address, host) = match rest {
        None => (None, None),
        Some(rest) => match rest.rsplit_once(':') {
            Some((address, host)) => (Some(address), Some(host)),
            None if rest.contains('.') => (Some(rest), None),
            None => (None, Some(rest)),
        },
    };
    let address = match address {
        Some(address) => Some(address.trim_matches(['[', ']']).parse::<IpAddr>().ok()?),
        None => None,
    };
    pair(address, host.filter(|host| !host.is_empty()), container, protocol)
}

fn long(entry: &Yaml) -> Option<Vec<ExistingPort>> {
    let text = |key| entry.get(key).and_then(Yaml::text);
    let address = text("host_ip").and_then(|address| address.parse().ok());
    pair(
        address,
        text("published"),
        text("target")?,
        text("protocol").unwrap_or("tcp"),
    )
}

fn pair(address: Option<IpAddr>, host: Option<&str>, container: &str, protocol: &str) -> Option<Vec<ExistingPort>> {
    let protocol = match protocol {
        "tcp" => "tcp",
        "udp" => "udp",
        _ => return None,
    };
    let inside: Vec<u16> = range(container)?.collect();
    let hosts: Vec<Option<u16>> = match host {
        Some(host) => range(host)?.map(Some).collect(),
        None => vec![None; inside.len()],
    };
    (hosts.len() == inside.len()).then(|| {
        let ports = hosts.into_iter().zip(inside);
        ports
            .map(|(host, container)| ExistingPort {
                address,
                host,
                container,
                protocol,
            })
            .collect()
    })
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        let show = |port: &ExistingPort| {
            let address = port.address.map(|address| address.to_string()).unwrap_or_default();
            let host = port.host.map(|host| host.to_string()).unwrap_or_default();
            format!("{address}|{host}|{}|{}", port.container, port.protocol)
        };
        Some(short(text)?.iter().map(show).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn ports_in_every_short_notation_are_read() {
        for (text, wanted) in [
            ("9615", "||9615|tcp"),
            ("9000:9615", "|9000|9615|tcp"),
            ("127.0.0.1:9000:9615/udp", "127.0.0.1|9000|9615|udp"),
            ("127.0.0.1::9615", "127.0.0.1||9615|tcp"),
            ("[::1]:9000:9615", "::1|9000|9615|tcp"),
            ("30333-30334:40333-40334", "|30333|40333|tcp |30334|40334|tcp"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(wanted), "{text}");
        }
        for text in ["", "a", "1-2:3", "0:1", "1:2/sctp", "x:1:2", "3-2"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
