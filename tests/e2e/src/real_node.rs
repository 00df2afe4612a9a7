//! The real node, where there is one.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};

use crate::engine::Engine;
use crate::ports::Reservation;
use crate::wait;

/// Node keys of this test alone, and the peer ids that belong to them.
const PRODUCER_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const COLLATOR_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000002";
const GUEST_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000003";
const PRODUCER_PEER: &str = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";
const COLLATOR_PEER: &str = "12D3KooWHdiAxVd8uMQR1hGWXccidmfCwLqcMpGwR6QcTP6QRMuD";
/// A node refuses a request whose `Host` is not its own (403) unless every origin is allowed.
const RPC: [&str; 5] = ["--rpc-external", "--rpc-methods", "safe", "--rpc-cors", "all"];

/// A network with a node that makes blocks, for a collator that syncs from it. Removed with the value.
///
/// Both nodes are on the engine's default network as well, where their JSON-RPC is reached when the link is cut.
#[derive(Debug)]
pub struct RealNode<'a> {
    engine: &'a Engine,
    image: String,
    network: String,
    /// The third byte of the network's addresses.
    subnet: Reservation,
    producer: String,
    open: Option<String>,
}

/// The folder with the real node: what `T0RN_REAL_NODE` names.
///
/// # Errors
/// Why there is none; fit for [`skip!`](crate::skip!).
pub fn folder() -> Result<PathBuf, String> {
    let folder = env::var_os("T0RN_REAL_NODE").map(PathBuf::from);
    match folder.filter(|folder| !folder.as_os_str().is_empty()) {
        None => Err("no real node: T0RN_REAL_NODE has to name its folder".to_owned()),
        Some(folder) if folder.join("build-image.sh").exists() => Ok(folder),
        Some(folder) => Err(format!(
            "no real node in {} (T0RN_REAL_NODE names it)",
            folder.display()
        )),
    }
}

impl<'a> RealNode<'a> {
    /// Builds the image from `folder` and starts the producer with a block every `block_time_ms`.
    ///
    /// # Errors
    /// The image cannot be built, or the producer not be started.
    pub fn start(engine: &'a Engine, folder: &Path, block_time_ms: u32) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unique = format!("t0rn-real-{}-{number}", std::process::id());
        let image = "real-t0rn-collator:test".to_owned();
        if !engine.try_docker(["image", "inspect", &image])?.status.success() {
            let mut build = Command::new(folder.join("build-image.sh"));
            let socket = format!("unix://{}", engine.socket().display());
            let output = wait::run(120, build.arg(&image).env("DOCKER_HOST", socket))?;
            ensure!(
                output.status.success(),
                "build-image.sh: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let node = Self {
            engine,
            image,
            network: unique.clone(),
            subnet: Reservation::of("real-nodes", 0..256, |_| true)?,
            producer: format!("{unique}-producer"),
            open: None,
        };
        let subnet = |rest: &str| format!("10.215.{}.{rest}", node.subnet.number());
        let (all, rest) = (subnet("0/24"), subnet("128/25"));
        engine.docker([
            "network",
            "create",
            "--subnet",
            &all,
            "--ip-range",
            &rest,
            &node.network,
        ])?;
        let collator = format!("/ip4/127.0.0.1/tcp/1/p2p/{COLLATOR_PEER}");
        engine.docker(
            ["run", "-d", "--name", &node.producer, &node.image]
                .into_iter()
                .chain(["--chain", "/node/specs/t0rn.raw.json", "--base-path", "/node/data"])
                .chain(["--dev-block-time", &block_time_ms.to_string()])
                .chain([
                    "--listen-addr",
                    "/ip4/0.0.0.0/tcp/30333",
                    "--no-mdns",
                    "--allow-private-ip",
                ])
                .chain(["--node-key", PRODUCER_KEY, "--reserved-nodes", &collator])
                .chain(RPC),
        )?;
        node.set_connected(true)?;
        Ok(node)
    }

    /// Adds a node that syncs from the producer, which itself only takes the peer it was told of, and takes anybody.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn open(mut self) -> Result<Self> {
        let name = format!("{}-open", self.network);
        let command = Self::collator_command();
        let words = command.iter().map(String::as_str).filter(|word| *word != "--collator");
        // Those of the parachain stand before those of the relay chain.
        let words = RPC.into_iter().chain(words);
        let run = ["create", "--name", &name, "--env", "ACCEPT_UNSEALED=1", &self.image];
        self.engine.docker(run.into_iter().chain(words))?;
        let connect = ["network", "connect", "--alias", "open", &self.network, &name];
        self.engine.docker(connect)?;
        self.engine.docker(["start", &name])?;
        self.open = Some(name);
        Ok(self)
    }

    /// The command of a collator that syncs from the open node, with a key of its own.
    pub fn guest_command() -> Vec<String> {
        let mut command = Self::collator_command();
        for word in &mut command {
            if word == COLLATOR_KEY {
                GUEST_KEY.clone_into(word);
            } else if word.starts_with("/dns/producer/") {
                *word = format!("/dns/open/tcp/33333/p2p/{COLLATOR_PEER}");
            }
        }
        command
    }

    pub fn image(&self) -> &str {
        &self.image
    }

    /// The Docker network of the two.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// The collator's command; its exporters are on ports 7001 and 9616.
    pub fn collator_command() -> Vec<String> {
        let producer = format!("/dns/producer/tcp/30333/p2p/{PRODUCER_PEER}");
        let words = "--collator --name me --base-path /node/data --chain /node/specs/t0rn.raw.json --no-mdns \
             --allow-private-ip --listen-addr /ip4/0.0.0.0/tcp/33333 --prometheus-port 7001 --prometheus-external";
        words
            .split_whitespace()
            .chain(["--node-key", COLLATOR_KEY, "--reserved-nodes", &producer])
            .chain(["--", "--chain", "/node/specs/rococo.raw.json", "--prometheus-external"])
            .map(str::to_owned)
            .collect()
    }

    /// The producer's best block.
    ///
    /// # Errors
    /// It has not told one yet.
    pub fn producer_best(&self) -> Result<u64> {
        let output = self.engine.try_docker(["logs", "--tail", "50", &self.producer])?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let (_, told) = log.rsplit_once("Imported #").context("no block in its log")?;
        Ok(told.split(' ').next().unwrap_or_default().parse()?)
    }

    /// URL of the producer's JSON-RPC, of use whether or not it is connected to the collator.
    ///
    /// # Errors
    /// It is not on the engine's default network.
    pub fn producer_rpc(&self) -> Result<String> {
        self.rpc(&self.producer)
    }

    /// As [`Self::producer_rpc`], of the open node.
    ///
    /// # Errors
    /// There is none.
    pub fn open_rpc(&self) -> Result<String> {
        self.rpc(self.open.as_deref().context("no open node")?)
    }

    fn rpc(&self, name: &str) -> Result<String> {
        let address = ["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", name];
        Ok(format!("http://{}:9944", self.engine.docker(address)?.trim()))
    }

    /// Takes away the producer's JSON-RPC for good.
    ///
    /// # Errors
    /// Docker refused.
    pub fn end_producer_rpc(&self) -> Result<()> {
        self.engine
            .docker(["network", "disconnect", "bridge", &self.producer])?;
        Ok(())
    }

    /// Takes the producer off the network, or puts it back with the address that it had: another one would leave it with
    /// a connection that ends after a quarter of an hour, and until then it takes no other one from that peer.
    ///
    /// # Errors
    /// Docker refused.
    pub fn set_connected(&self, connected: bool) -> Result<()> {
        if connected {
            let address = format!("10.215.{}.2", self.subnet.number());
            let args = ["network", "connect", "--ip", &address, "--alias", "producer"];
            let args = args.into_iter().chain([self.network.as_str(), &self.producer]);
            self.engine.docker(args).context("failed to connect the producer")?;
        } else {
            self.engine
                .docker(["network", "disconnect", &self.network, &self.producer])?;
        }
        Ok(())
    }

    /// Freezes the producer, which then makes no blocks, or lets it go on.
    ///
    /// # Errors
    /// Docker refused.
    pub fn set_paused(&self, paused: bool) -> Result<()> {
        self.engine
            .docker([if paused { "pause" } else { "unpause" }, &self.producer])?;
        Ok(())
    }
}

impl Drop for RealNode<'_> {
    fn drop(&mut self) {
        // The collator's container is gone by now; should one be left, the network says so by staying.
        for name in [Some(&self.producer), self.open.as_ref()].into_iter().flatten() {
            let _ = self.engine.try_docker(["rm", "-fv", name]);
        }
        let _ = self.engine.try_docker(["network", "rm", &self.network]);
    }
}
