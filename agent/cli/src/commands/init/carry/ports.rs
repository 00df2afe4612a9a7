//! Network and published ports.

use std::net::IpAddr;

use agent_docker::ExistingContainer;

use crate::commands::init::draft::{Draft, DraftPort};

pub(super) fn carry(draft: &mut Draft, existing: &ExistingContainer) {
    draft.network = network(draft, &existing.network);
    if draft.network == "host" {
        return;
    }
    for port in &existing.ports {
        let host = port.host.unwrap_or_else(|| {
            let (container, protocol) = (port.container, port.protocol);
            draft.note(format!(
                "the host's port for {container}/{protocol} was Docker's choice; it is {container} from now on"
            ));
            container
        });
        add(
            draft,
            DraftPort {
                address: port.address,
                host,
                container: port.container,
                protocol: port.protocol,
            },
        );
    }
}

fn network(draft: &mut Draft, mode: &str) -> String {
    let reason = match mode {
        "none" => "a collator needs peers, and the agent its exporters",
        _ if mode.contains(':') => "the agent's container has a network of its own",
        _ if mode.len() < 2 => "a name has at least two characters",
        _ => return mode.to_owned(),
    };
    draft.note(format!("the network \"{mode}\": {reason}. It is bridge from now on"));
    "bridge".to_owned()
}

/// Adds a port, unless another one has the same socket of the host already: that of all addresses serves both.
fn add(draft: &mut Draft, port: DraftPort) {
    let is_everywhere = |address: Option<IpAddr>| address.is_none_or(|address| address.is_unspecified());
    let same = |other: &&mut DraftPort| {
        (other.host, other.container, other.protocol) == (port.host, port.container, port.protocol)
            && (is_everywhere(other.address) || is_everywhere(port.address) || other.address == port.address)
    };
    match draft.ports.iter_mut().find(same) {
        Some(other) if other.address != port.address => other.address = None,
        Some(_) => {}
        None => draft.ports.push(port),
    }
}
