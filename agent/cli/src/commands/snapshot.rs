//! `snapshot`: creates, restores and verifies snapshots of the chain data.

mod create;
mod destination;
mod progress;
mod remote;
mod restore;
mod stdio;
mod upload;
mod verify;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use agent_chaindata::lock::lock_data_dir;
use agent_chaindata::restore::{RestoreOptions, abandon_restore};
use agent_chaindata::snapshot::{PublicKey, SecretKey, SnapshotSource, parse_sha256};
use agent_config::DEFAULT_IMDS;

use self::remote::Remote;
use self::stdio::Stdin;
#[cfg(any(test, fuzzing))]
pub(crate) use self::upload::Note;
use super::parse_number;
use crate::commands::background::blocking;
use crate::error::{ArgumentError, UsageError};
use crate::globals::GlobalArgs;
use crate::output::print;

pub(crate) const EXAMPLES: &str = "\
Needs root. A snapshot is a .tar.zst that any zstd and tar read, with a digest for each chunk. Keys are never in it.
What was interrupted goes on when it is run again.

Exit codes: 0 done, 1 failed (verify: damaged, or not signed), 2 usage or not readable.

Examples:
  t0rn-agent snapshot create --to /backup/chain.tar.zst
  t0rn-agent snapshot create --live --to - | ssh backup 'cat > chain.tar.zst'
  t0rn-agent snapshot verify /backup/chain.tar.zst --public-key minisign.pub
  t0rn-agent snapshot restore /backup/chain.tar.zst
  t0rn-agent snapshot create --to s3://backups/chain.tar.zst
  t0rn-agent snapshot restore chain.tar.lz4 --sha256 4f3c…";

#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// Stop the collator, copy its chain data, and start it again
    Create {
        /// A file, - for standard output, or s3 with bucket and key
        #[arg(long, value_name = "PLACE")]
        to: String,
        /// Leave the collator running: the copy is what a power cut would have left (rocksdb alone)
        #[arg(long)]
        live: bool,
        /// Sign with this secret key of minisign, one without a password
        #[arg(long, value_name = "KEY")]
        sign: Option<PathBuf>,
    },
    /// Prove a snapshot or archive aside, then put it in place of the present data
    Restore {
        /// A file, - for standard input, or a URL: https, http or s3
        #[arg(value_name = "PLACE")]
        from: String,
        /// Take only what this public key of minisign signed: a file, or the key itself
        #[arg(long, value_name = "KEY")]
        public_key: Option<String>,
        /// The checksum of a plain archive: .tar, .tar.zst, .tar.lz4 or .tar.gz
        #[arg(long, value_name = "HEX", value_parser = parse_checksum)]
        sha256: Option<[u8; 32]>,
        /// Leading directories of a plain archive to take off
        #[arg(long, value_name = "N", default_value_t = 0, value_parser = parse_directories)]
        strip: usize,
        /// Leave the present data beside the new, in .before-restore
        #[arg(long)]
        keep_old: bool,
    },
    /// Prove a snapshot: every chunk, the manifest, the signature
    Verify {
        /// A file, - for standard input, or a URL: https, http or s3
        #[arg(value_name = "PLACE")]
        from: String,
        /// Take only what this public key of minisign signed: a file, or the key itself
        #[arg(long, value_name = "KEY")]
        public_key: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Give up a restore that was interrupted, and what a killed snapshot left; the present data stays
    Abandon,
}

pub(crate) async fn execute(
    command: &SnapshotCommand,
    globals: &GlobalArgs,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    match command {
        SnapshotCommand::Create { to, live, sign } => {
            let signer = sign.as_deref().map(read_secret_key).transpose()?;
            create::create(globals, to, *live, signer, out).await?;
        }
        SnapshotCommand::Restore {
            from,
            public_key,
            sha256,
            strip,
            keep_old,
        } => {
            let options = RestoreOptions {
                public_key: public_key.as_deref().map(read_public_key).transpose()?,
                sha256: *sha256,
                keep_old: *keep_old,
                strip: *strip,
            };
            let is_checked = options.public_key.is_some() || options.sha256.is_some();
            restore::restore(globals, open_source(from, globals, is_checked)?, options, out).await?;
        }
        SnapshotCommand::Verify { from, public_key, json } => {
            let key = public_key.as_deref().map(read_public_key).transpose()?;
            return verify::verify(open_source(from, globals, true)?, key, *json, out).await;
        }
        SnapshotCommand::Abandon => abandon(globals, out).await?,
    }
    Ok(0)
}

async fn abandon(globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = globals.load_config()?;
    let (data, state_dir) = (config.data.path, config.agent.state_dir);
    let _lock = lock_data_dir(&state_dir, &data)?;
    let found = blocking(move || abandon_restore(&data)).await?;
    print(
        out,
        if found {
            "given up; the data is as it was\n"
        } else {
            "no restore is under way\n"
        },
    )
}

/// The source that `from` names. `is_checked`: whether a key or a checksum decides, and not the way it comes.
fn open_source(from: &str, globals: &GlobalArgs, is_checked: bool) -> anyhow::Result<Box<dyn SnapshotSource + Send>> {
    Ok(match from {
        "-" => Box::new(Stdin::default()),
        url if Remote::is_meant(url) => {
            // Without a configuration, a bucket can still be read with the region and keys of the environment.
            let config = globals.load_config();
            let imds = config.map_or_else(|_| DEFAULT_IMDS.to_owned(), |config| config.ec2.imds);
            let remote = Remote::new(url, &imds).map_err(|error| UsageError::Unusable(error.to_string()))?;
            if remote.can_be_changed() && !is_checked {
                let remedy = "give --public-key (or --sha256, for a plain archive), or an https address";
                let words = format!(
                    "{}: anyone on the way can change what comes by http: {remedy}",
                    remote.name()
                );
                return Err(UsageError::Unusable(words).into());
            }
            Box::new(remote)
        }
        path => {
            fs::metadata(path).map_err(|error| unreadable(path, &error))?;
            Box::new(PathBuf::from(path))
        }
    })
}

fn unreadable(name: &str, error: &io::Error) -> UsageError {
    UsageError::Unusable(format!("cannot read {name}: {error}"))
}

fn read_secret_key(path: &Path) -> anyhow::Result<SecretKey> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| unreadable(&name, &error))?;
    SecretKey::parse(&text).map_err(|error| UsageError::Unusable(format!("{name}: {error}")).into())
}

/// The public key in a file, or the key itself.
fn read_public_key(given: &str) -> anyhow::Result<PublicKey> {
    let text = fs::read_to_string(given).unwrap_or_else(|_| given.to_owned());
    PublicKey::parse(&text).map_err(|error| UsageError::Unusable(format!("{given}: {error}")).into())
}

fn parse_directories(text: &str) -> Result<usize, ArgumentError> {
    parse_number(text, 0..=100)
}

fn parse_checksum(text: &str) -> Result<[u8; 32], ArgumentError> {
    parse_sha256(&text.to_ascii_lowercase())
        .ok_or_else(|| ArgumentError("give the 64 hex digits of a SHA-256".to_owned()))
}
