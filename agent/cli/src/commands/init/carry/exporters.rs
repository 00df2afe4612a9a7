//! Both exporters: where they answer, and what has to change so that the agent reaches them.

use std::net::{IpAddr, Ipv4Addr};

use agent_core::event::Chain;
use agent_docker::Neighbour;

use crate::commands::init::draft::{Draft, DraftChain, DraftPort};
use crate::commands::node_command::{Arguments, NodeCommand, Side};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Port of the agent's own exporter.
const OWN: u16 = 9733;

pub(super) fn carry(draft: &mut Draft, node: &NodeCommand, neighbours: &[Neighbour]) {
    let main = if node.is_parachain() {
        Chain::Parachain
    } else {
        Chain::Relaychain
    };
    let mut sides = vec![(main, Side::Main)];
    if node.has_relay_side() {
        sides.push((Chain::Relaychain, Side::Relay));
    } else if node.is_parachain() && !node.is_by_rpc() {
        draft.note(
            "the command has no `--`: the exporter of the relay chain's side is not known, and that side is not watched; \
             write \"--\", \"--prometheus-port\", \"9616\" at the end of collator.command and a [chains.relaychain]",
        );
    }
    for (chain, side) in sides {
        let metrics = exporter(draft, node, side, neighbours);
        let comment = (chain == Chain::Relaychain && side == Side::Main).then(|| {
            "A chain of its own. One that makes blocks on demand only: write [chains.parachain] instead.".to_owned()
        });
        draft.chains.push(DraftChain {
            chain,
            metrics,
            prefix: "substrate".to_owned(),
            comment,
        });
    }
    let is_taken = |port: u16| {
        let own = |other: &DraftPort| other.host == port && other.protocol == "tcp";
        draft.ports.iter().any(own) || is_used(neighbours, port)
    };
    if is_taken(OWN) {
        let other = (OWN + 1..=u16::MAX).find(|port| !is_taken(*port)).unwrap_or(OWN);
        draft.listen = Some(format!("127.0.0.1:{other}"));
        draft.note(format!(
            "port {OWN} is taken: the agent's own exporter and page are on {other}"
        ));
    }
}

/// The URL of a side's exporter. Where it could not be reached, the flag and the published port that it takes are added.
fn exporter(draft: &mut Draft, node: &NodeCommand, side: Side, neighbours: &[Neighbour]) -> String {
    let port = node.prometheus_port(side);
    if node.has(side, "--no-prometheus") {
        change(
            draft,
            node,
            &format!("--no-prometheus is left out: without the exporter on port {port} nothing is known"),
            |arguments| arguments.remove(side, "--no-prometheus"),
        );
    }
    if draft.network == "host" {
        return url(LOCALHOST, port);
    }
    if !node.has(side, "--prometheus-external") {
        let why =
            format!("--prometheus-external is added: the exporter on port {port} answered inside the container only");
        change(draft, node, &why, |arguments| {
            arguments.add(side, "--prometheus-external");
        });
    }
    let published = draft
        .ports
        .iter()
        .find(|other| other.container == port && other.protocol == "tcp");
    if let Some(published) = published {
        let address = published
            .address
            .filter(|address| !address.is_unspecified())
            .unwrap_or(LOCALHOST);
        return url(address, published.host);
    }
    let is_free = |host: &u16| {
        let own = |other: &DraftPort| other.host == *host && other.protocol == "tcp";
        *host != OWN && !draft.ports.iter().any(own) && !is_used(neighbours, *host)
    };
    let host = (port..=u16::MAX).find(is_free).unwrap_or(port);
    draft.note(format!(
        "127.0.0.1:{host} is published for the exporter on port {port}, which was not reachable from the host"
    ));
    draft.ports.push(DraftPort {
        address: Some(LOCALHOST),
        host,
        container: port,
        protocol: "tcp",
    });
    url(LOCALHOST, host)
}

/// Changes the arguments, or says what to change where they are a line for a shell.
fn change(draft: &mut Draft, node: &NodeCommand, why: &str, how: impl FnOnce(&mut Arguments<'_>)) {
    if node.is_shell_line {
        draft.warn(format!(
            "change collator.command, which is a line for a shell, by hand: {why}"
        ));
    } else {
        how(&mut Arguments {
            program: &draft.program,
            words: &mut draft.command,
        });
        draft.note(why);
    }
}

fn is_used(neighbours: &[Neighbour], port: u16) -> bool {
    let mut running = neighbours.iter().filter(|other| other.is_running);
    running.any(|other| other.ports.contains(&(port, "tcp".to_owned())))
}

fn url(address: IpAddr, port: u16) -> String {
    format!("http://{}/metrics", std::net::SocketAddr::new(address, port))
}
