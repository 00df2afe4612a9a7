//! Check of the ports that the collator publishes.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

use agent_config::{Config, PublishedPort};
use agent_docker::ExistingContainer;

use super::report::Finding;

/// `runs` is whether the collator's container runs, and so uses them. A predecessor has its ports until it is taken over.
pub(super) fn check_ports(config: &Config, runs: bool, predecessor: Option<&ExistingContainer>) -> Finding {
    let ports = &config.collator.ports;
    if ports.is_empty() {
        return Finding::skip("ports", "none are published");
    }
    if runs {
        return Finding::pass("ports", "the collator itself has them");
    }
    let is_freed = |port: &&PublishedPort| {
        predecessor.is_some_and(|found| {
            let mut theirs = found.ports.iter();
            let has_port = theirs.any(|own| own.host == Some(port.host) && own.protocol == port.protocol);
            // Of the host's own ports it may have any.
            found.network == "host" || has_port
        })
    };
    let (freed, others): (Vec<_>, Vec<_>) = ports.iter().partition(is_freed);
    let problems: Vec<String> = others.into_iter().filter_map(port_problem).collect();
    if let (Some(predecessor), true, false) = (predecessor, problems.is_empty(), freed.is_empty()) {
        let text = format!(
            "{} has {} of {} until it is taken over",
            predecessor.name,
            freed.len(),
            ports.len()
        );
        return Finding::pass("ports", text);
    }
    if problems.is_empty() {
        return Finding::pass("ports", format!("{} free", ports.len()));
    }
    let problems = problems.join("; ");
    Finding::fail(
        "ports",
        format!("{problems}; find the owner with `ss -lntup`, or change collator.ports"),
    )
}

/// Why a port is not available; `None` when it is, or when only Docker can find out.
fn port_problem(port: &PublishedPort) -> Option<String> {
    let address = port.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let bound = match port.protocol {
        "udp" => UdpSocket::bind((address, port.host)).map(drop),
        _ => TcpListener::bind((address, port.host)).map(drop),
    };
    match bound {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            Some(format!("{address}:{}/{} is taken", port.host, port.protocol))
        }
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
            Some(format!("{address} is no address of this host"))
        }
        _ => None,
    }
}
