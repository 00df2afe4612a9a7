//! `identity`: shows the identity volume and its keys, and puts keys on it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use serde_json::json;
use tokio::process::Command;

use agent_config::Config;
use agent_daemon::identity::lease::{self, LeaseFile};
use agent_daemon::identity::{block_device, keystore, mount as mounting};
use agent_files::printable;

use crate::globals::GlobalArgs;
use crate::output::print;

pub(crate) const EXAMPLES: &str = "\
Shows public keys only. All but `status` need root.

Examples:
  t0rn-agent identity status
  t0rn-agent identity init
  t0rn-agent identity import --keystore ./keystore --node-key ./node-key";

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// What is mounted, who has the lease, and the public keys
    Status {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Make an empty keystore and a node key, where they are missing
    Init {
        /// First make a file system on the volume; only on one that is blank
        #[arg(long)]
        format: bool,
    },
    /// Copy keys onto the volume; never over others
    Import {
        /// A keystore's folder
        #[arg(long, value_name = "DIR", required_unless_present = "node_key")]
        keystore: Option<PathBuf>,
        /// A node key: 32 bytes or 64 hexadecimal digits
        #[arg(long, value_name = "FILE")]
        node_key: Option<PathBuf>,
    },
    /// Mount the volume; the service does it when the agent asks
    #[command(hide = true)]
    Mount,
    /// Unmount it again
    #[command(hide = true)]
    Unmount,
}

pub(crate) async fn execute(
    command: &IdentityCommand,
    globals: &GlobalArgs,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let config = &globals.load_agent_config()?;
    let mount = config.identity.mount.as_path();
    match command {
        IdentityCommand::Status { json } => return print_status(config, *json, out),
        IdentityCommand::Init { format } => {
            if *format {
                format_volume(config).await?;
            }
            require_mounted(mount)?;
            keystore::init(mount, config.collator.user)?;
        }
        IdentityCommand::Import { keystore, node_key } => {
            require_mounted(mount)?;
            if let Some(keystore) = keystore {
                let count = keystore::import_keystore(mount, keystore, config.collator.user)?;
                print(out, &format!("{count} new keys\n"))?;
            }
            if let Some(node_key) = node_key {
                keystore::import_node_key(mount, node_key, config.collator.user)?;
            }
        }
        IdentityCommand::Mount => return report_refusal(mount_for_agent(config).await),
        IdentityCommand::Unmount => return report_refusal(mounting::unmount(mount).await.map_err(Into::into)),
    }
    print(out, &render(&keystore::inspect(mount)?))
}

/// Mounts the volume on behalf of the agent, which has no right to.
async fn mount_for_agent(config: &Config) -> anyhow::Result<()> {
    let volume = config
        .identity
        .volume
        .as_deref()
        .context("identity.volume names none")?;
    let requests = config.agent.socket.parent().unwrap_or(Path::new("/"));
    Ok(mounting::help_mount(volume, &config.identity.mount, requests).await?)
}

/// Writes why it failed, or nothing, to the file that the agent reads.
fn report_refusal(done: anyhow::Result<()>) -> anyhow::Result<()> {
    let refusal = done
        .as_ref()
        .err()
        .map_or_else(String::new, |error| format!("{error:#}"));
    // Its directory exists only when systemd has made it.
    let _ = std::fs::write(mounting::REFUSED, refusal);
    done
}

fn require_mounted(mount: &Path) -> anyhow::Result<()> {
    ensure!(
        block_device::mounted(mount)?.is_some(),
        "nothing is mounted at {}: keys belong on the volume, not on this host's disk; mount it, or see identity.mount",
        mount.display()
    );
    Ok(())
}

/// Makes a file system on the volume and mounts it.
///
/// Fails when the volume is not blank.
async fn format_volume(config: &Config) -> anyhow::Result<()> {
    let volume = config
        .identity
        .volume
        .as_deref()
        .context("identity.volume names none, so nothing is formatted")?;
    let device =
        block_device::device(volume).with_context(|| format!("{volume} has no device here: is it attached?"))?;
    let shown = device.path.display();
    ensure!(
        device.by_serial,
        "{shown} has no serial number of its own, and a link alone says that it is {volume}: nothing is formatted; make a file \
         system on it by hand (mkfs.ext4 -L t0rn-identity {shown})"
    );
    ensure!(
        block_device::mounted(&config.identity.mount)?.is_none(),
        "{} is mounted: nothing is formatted",
        config.identity.mount.display()
    );
    let probe = Command::new("blkid").arg("--probe").arg(&device.path).output().await?;
    // 2 is "nothing found".
    ensure!(
        probe.status.code() == Some(2) && mounting::is_blank(&device.path)?,
        "{shown} is not blank: nothing is formatted; attach the right volume"
    );
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.args(["-q", "-L", "t0rn-identity"]).arg(&device.path);
    mounting::run(mkfs).await?;
    Ok(mounting::mount(&device, &config.identity.mount).await?)
}

fn print_status(config: &Config, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let mount = &config.identity.mount;
    let mounted = block_device::mounted(mount)?;
    let keys = if mounted.is_some() {
        keystore::inspect(mount).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                anyhow::Error::new(error).context(format!("{} cannot be read: run this as root", mount.display()))
            }
            _ => error.into(),
        })?
    } else {
        keystore::StoredKeys::default()
    };
    let (lease, unreadable) = match mounted.and_then(|_| lease::read(mount)) {
        Some(LeaseFile::Lease(lease)) => (Some(lease), false),
        found => (None, found.is_some()),
    };
    if json {
        let text = json!({
            "schema": 1, "required": config.identity.required, "volume": config.identity.volume, "mount": mount,
            "mounted": mounted.is_some(), "read_only": mounted.map(|m| m.read_only), "lease": lease, "keys": keys,
        });
        return print(out, &format!("{text}\n"));
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = match mounted {
        None => writeln!(text, "{}: nothing is mounted", mount.display()),
        Some(m) if m.read_only => writeln!(text, "{}: mounted, read-only", mount.display()),
        Some(_) => writeln!(text, "{}: mounted", mount.display()),
    };
    if let Some(lease) = lease {
        let _ = writeln!(text, "lease: {} since {}", printable(&lease.holder), lease.at);
    }
    if unreadable {
        let _ = writeln!(text, "lease: cannot be read, which counts as held by another host");
    }
    if mounted.is_some() {
        text += &render(&keys);
    }
    if !config.identity.required {
        text += "no identity is required (identity.required): the agent looks at none of this\n";
    }
    print(out, &text)
}

fn render(keys: &keystore::StoredKeys) -> String {
    let mut text = String::new();
    for key in &keys.session {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}  {}", key.kind, key.public);
    }
    if keys.session.is_empty() {
        text.push_str("no session keys\n");
    }
    let _ = match &keys.peer_id {
        Some(id) => writeln!(text, "node  {id}"),
        None => writeln!(text, "no node key"),
    };
    for path in &keys.exposed {
        let shown = printable(&path.display().to_string());
        let _ = writeln!(text, "{shown}: others may read it; t0rn-agent identity init closes it");
    }
    text
}
