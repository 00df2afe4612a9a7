//! Questions on a terminal, or options in their place: what a first collator needs.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use agent_docker::{ExistingContainer, ExistingImage, ExistingMount, ExistingPort, RestartPolicy};
use clap::Args;

use crate::error::UsageError;
use crate::output;

const DATA: &str = "/var/lib/t0rn-collator";
const RELAY: &str = "polkadot";

#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// Take the default of every question, for scripts
    #[arg(long, short)]
    yes: bool,
    /// The image to run, NAME:TAG or NAME@sha256:…
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// The chain: a name that the node knows, or the path of its specification on this host
    #[arg(long, value_name = "CHAIN")]
    chain: Option<String>,
    /// Its relay chain in the same way, the URL of a node's RPC (ws://, wss://), or none [default: polkadot]
    #[arg(long, value_name = "CHAIN")]
    relay_chain: Option<String>,
    /// Directory of the host for the chain's data [default: /var/lib/t0rn-collator]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// The container that the answers describe.
///
/// Fails when a question without a default has no answer.
pub(super) fn container(args: &AnswerArgs) -> anyhow::Result<ExistingContainer> {
    let data = args.data.as_ref().map(|data| data.display().to_string());
    let image = ask(args, "Image (NAME:TAG)", "--image", args.image.clone(), None)?;
    let chain = ask(
        args,
        "Chain (a name, or the path of its specification)",
        "--chain",
        args.chain.clone(),
        None,
    )?;
    let relay = ask(
        args,
        "Relay chain (the same, an RPC URL, or none)",
        "--relay-chain",
        args.relay_chain.clone(),
        Some(RELAY),
    )?;
    let data = ask(args, "Directory for the chain's data", "--data", data, Some(DATA))?;
    let mut made = ExistingContainer {
        name: "t0rn-collator".to_owned(),
        image: ExistingImage {
            reference: image,
            ..ExistingImage::default()
        },
        user: "1000:1000".to_owned(),
        network: "bridge".to_owned(),
        restart: RestartPolicy {
            name: "unless-stopped".to_owned(),
            max_retries: 0,
        },
        mounts: vec![mount(&data, "/data", false)],
        ..ExistingContainer::default()
    };
    // The agent's defaults.
    made.confinement.read_only = true;
    made.confinement.no_new_privileges = true;
    made.confinement.cap_drop = vec!["ALL".to_owned()];
    let is_rpc = ["ws://", "wss://", "http://", "https://"]
        .iter()
        .any(|scheme| relay.starts_with(scheme));
    let is_solo = relay == "none";
    let mut words = if is_solo {
        vec!["--validator".to_owned()]
    } else {
        vec!["--collator".to_owned()]
    };
    words.extend(["--base-path".to_owned(), "/data".to_owned()]);
    side(&mut words, &mut made, &chain, 30333, 9615);
    if is_rpc {
        words.extend(["--relay-chain-rpc-urls".to_owned(), relay]);
    } else if !is_solo {
        words.push("--".to_owned());
        side(&mut words, &mut made, &relay, 30334, 9616);
    }
    made.command = words;
    Ok(made)
}

/// Flags, ports and the specification of one side.
fn side(words: &mut Vec<String>, made: &mut ExistingContainer, chain: &str, port: u16, prometheus: u16) {
    let chain = if chain.starts_with('/') {
        let file = chain.rsplit('/').next().unwrap_or_default();
        let target = format!("/specs/{file}");
        made.mounts.push(mount(chain, &target, true));
        target
    } else {
        chain.to_owned()
    };
    let (port_text, prometheus_text) = (port.to_string(), prometheus.to_string());
    let flags = [
        "--chain",
        &chain,
        "--port",
        &port_text,
        "--prometheus-port",
        &prometheus_text,
        "--prometheus-external",
    ];
    words.extend(flags.map(str::to_owned));
    made.ports.push(ExistingPort {
        address: None,
        host: Some(port),
        container: port,
        protocol: "tcp",
    });
    let local = Some([127, 0, 0, 1].into());
    made.ports.push(ExistingPort {
        address: local,
        host: Some(prometheus),
        container: prometheus,
        protocol: "tcp",
    });
}

fn mount(source: &str, target: &str, read_only: bool) -> ExistingMount {
    ExistingMount {
        source: source.into(),
        target: target.into(),
        read_only,
        volume: None,
    }
}

/// The option's value, else the default (with `--yes`) or an answer.
fn ask(
    args: &AnswerArgs,
    question: &str,
    option: &str,
    given: Option<String>,
    default: Option<&str>,
) -> anyhow::Result<String> {
    if let Some(given) = given.filter(|given| !given.is_empty()) {
        return Ok(given);
    }
    if args.yes
        && let Some(default) = default
    {
        return Ok(default.to_owned());
    }
    if args.yes || !io::stdin().is_terminal() {
        let text =
            format!("write {option}, --from-container NAME or --from-compose FILE: there is no terminal to ask on");
        return Err(UsageError::Unusable(text).into());
    }
    let suffix = default.map(|default| format!(" [{default}]")).unwrap_or_default();
    loop {
        let Some(answer) = output::ask(&format!("{question}{suffix}: "))? else {
            return Err(UsageError::Unusable(format!("the input ended before an answer: write {option}")).into());
        };
        match (answer.as_str(), default) {
            ("", Some(default)) => return Ok(default.to_owned()),
            ("", None) => {}
            _ => return Ok(answer),
        }
    }
}
