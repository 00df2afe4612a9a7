//! `snapshot`: where it goes to and comes from, and what is told of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::future::Future;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

use super::{Cli, print};
use crate::progress::{ProgressPrinter, print_note};
use crate::remote::Remote;
use crate::stdio::{Stdin, unlocked_stdout};
use crate::upload::Upload;
use agent_chaindata::compatibility::{NodeInfo, read_chain_facts};
use agent_chaindata::journal::is_restore_swapping;
use agent_chaindata::lock::lock_data_dir;
use agent_chaindata::restore::{RestoreOptions, abandon_restore, commit_restore, prepare_restore};
use agent_chaindata::snapshot::{
    AtomicFile, Consistency, CreateOptions, CreatedSnapshot, Manifest, PublicKey, ReadError, SecretKey, SnapshotSource,
    create_snapshot, parse_sha256, snapshot_size, verify_snapshot,
};
use agent_config::Config;
use agent_docker::Docker;

pub(super) const EXAMPLES: &str = "\
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
pub(super) enum Snapshot {
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
        #[arg(long, value_name = "HEX", value_parser = sha256)]
        sha256: Option<[u8; 32]>,
        /// Leading directories of a plain archive to take off
        #[arg(long, value_name = "N", default_value_t = 0)]
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

/// Where instances learn about themselves.
const IMDS: &str = "http://169.254.169.254";

/// What was named cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unusable(String);

impl Cli {
    pub(super) async fn snapshot(&self, what: &Snapshot, out: &mut dyn Write) -> anyhow::Result<u8> {
        match what {
            Snapshot::Create { to, live, sign } => {
                let signer = sign.as_deref().map(secret_key).transpose()?;
                self.create(to, *live, signer, out).await?;
            }
            Snapshot::Restore {
                from,
                public_key,
                sha256,
                strip,
                keep_old,
            } => {
                let options = RestoreOptions {
                    public_key: public_key.as_deref().map(key).transpose()?,
                    sha256: *sha256,
                    keep_old: *keep_old,
                    strip: *strip,
                };
                self.restore(self.source(from)?, options, out).await?;
            }
            Snapshot::Verify { from, public_key, json } => {
                let key = public_key.as_deref().map(key).transpose()?;
                let (source, name) = (self.source(from)?, from.clone());
                let proven =
                    blocking(move || Ok(verify_snapshot(&*source, key.as_ref(), &mut ProgressPrinter::default())))
                        .await?;
                return verified(&name, proven, *json, out);
            }
            Snapshot::Abandon => {
                let data = self.load()?.data.path;
                let _alone = lock_data_dir(&data)?;
                let was = blocking(move || abandon_restore(&data)).await?;
                print(
                    out,
                    if was {
                        "given up; the data is as it was\n"
                    } else {
                        "no restore is under way\n"
                    },
                )?;
            }
        }
        Ok(0)
    }

    fn source(&self, from: &str) -> anyhow::Result<Box<dyn SnapshotSource + Send>> {
        Ok(match from {
            "-" => Box::new(Stdin::default()),
            url if Remote::is_meant(url) => {
                // Without a configuration, a bucket can still be read with the region and keys of the environment.
                let imds = self.load().map_or_else(|_| IMDS.to_owned(), |config| config.ec2.imds);
                Box::new(Remote::new(url, &imds).map_err(|error| Unusable(error.to_string()))?)
            }
            path => {
                let unusable = |error: io::Error| Unusable(format!("cannot read {path}: {error}"));
                fs::metadata(path).map_err(unusable)?;
                Box::new(PathBuf::from(path))
            }
        })
    }

    async fn create(&self, to: &str, live: bool, signer: Option<SecretKey>, out: &mut dyn Write) -> anyhow::Result<()> {
        let config = self.load_for_agent()?;
        let alone = lock_data_dir(&config.data.path)?;
        // Before the collator is stopped for it.
        let target = Target::open(to, &config).await?;
        let half = target.half();
        let consistency = if live {
            Consistency::CrashConsistent
        } else {
            Consistency::Clean
        };
        let (data, client) = (config.data.path.clone(), self.client());
        let work = async {
            let told = crate::rest::ask(&config).await;
            let clean = if live {
                None
            } else {
                crate::rest::rest(&config, &client).await?
            };
            ensure!(
                clean != Some(false),
                "the collator did not end cleanly, so its data may not be whole: look at its log, or raise \
                 collator.stop_timeout"
            );
            blocking(move || target.fill(&data, consistency, &told, signer.as_ref())).await
        };
        let done = until_signal(Box::pin(work)).await;
        if let Some(half) = half.filter(|_| done.is_err()) {
            // Of no use to anybody.
            let _ = fs::remove_file(half);
        }
        drop(alone);
        // However it ended.
        let over = if live {
            Ok(())
        } else {
            crate::rest::over(&config, &client).await
        };
        let created = done?;
        over?;
        if to != "-" {
            print(out, &format!("{to}: {}\n", describe(&created.manifest)))?;
        }
        Ok(())
    }

    async fn restore(
        &self,
        source: Box<dyn SnapshotSource + Send>,
        options: RestoreOptions,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let config = self.load_for_agent()?;
        if !config.data.path.exists() {
            // A host on which nothing ran yet: made as for a first start.
            Docker::new(&config)?.prepare_paths().await?;
        }
        let alone = lock_data_dir(&config.data.path)?;
        let told = crate::rest::ask(&config).await;
        let (data, client) = (config.data.path.clone(), self.client());
        let place = data.clone();
        let unpack = blocking(move || {
            let present = read_chain_facts(&place, &told)?;
            prepare_restore(&place, &*source, &options, &present, &mut ProgressPrinter::default())
        });
        let ready = until_signal(unpack).await?;
        for path in &ready.skipped {
            print_note(&format!("left out: {}", path.display()));
        }
        crate::rest::rest(&config, &client).await?;
        let place = data.clone();
        let kept = blocking(move || commit_restore(&place, ready, || Ok(()))).await;
        // Between two states of the data nothing is started.
        let over = if is_restore_swapping(&data) {
            Ok(())
        } else {
            drop(alone);
            crate::rest::over(&config, &client).await
        };
        let kept = kept?;
        over?;
        print(out, "restored\n")?;
        if let Some(kept) = kept {
            print(out, &format!("the data from before is in {}\n", kept.display()))?;
        }
        Ok(())
    }
}

/// Where a snapshot goes to.
enum Target {
    Pipe(File),
    File { name: String, file: AtomicFile },
    S3(Box<Upload>),
}

impl Target {
    async fn open(to: &str, config: &Config) -> anyhow::Result<Self> {
        if to == "-" {
            if io::stdout().is_terminal() {
                return Err(
                    Unusable("a snapshot is nothing for a terminal: give a file, or pipe it on".to_owned()).into(),
                );
            }
            return Ok(Self::Pipe(unlocked_stdout()?));
        }
        if Remote::is_meant(to) {
            let data = config.data.path.clone();
            let bytes = blocking(move || snapshot_size(&data)).await?;
            let upload = Upload::open(to, &config.ec2.imds, bytes, &config.agent.state_dir).await?;
            return Ok(Self::S3(Box::new(upload)));
        }
        // Through a link, to what it stands for.
        let path = fs::canonicalize(to).unwrap_or_else(|_| PathBuf::from(to));
        let is_file = fs::metadata(&path).map_or(!to.ends_with('/'), |about| about.is_file());
        if !is_file {
            return Err(Unusable(format!("{to}: give the name of a file, or - for standard output")).into());
        }
        let place = std::path::absolute(&path).ok();
        let place = place.and_then(|place| fs::canonicalize(place.parent()?).ok());
        let data = fs::canonicalize(&config.data.path).unwrap_or_else(|_| config.data.path.clone());
        if place.is_some_and(|place| place.starts_with(data)) {
            return Err(Unusable(format!("{to}: lies in data.path, which is copied; name another place")).into());
        }
        let file = AtomicFile::create(&path).with_context(|| format!("cannot write {to}"))?;
        let name = path.display().to_string();
        Ok(Self::File { name, file })
    }

    /// The file that is not whole yet.
    fn half(&self) -> Option<PathBuf> {
        match self {
            Self::File { file, .. } => Some(file.partial().to_owned()),
            Self::Pipe(_) | Self::S3(_) => None,
        }
    }

    fn fill(
        self,
        data: &Path,
        consistency: Consistency,
        nodes: &BTreeMap<String, NodeInfo>,
        signer: Option<&SecretKey>,
    ) -> anyhow::Result<CreatedSnapshot> {
        let options = CreateOptions {
            consistency,
            nodes,
            signer,
        };
        let mut progress = ProgressPrinter::default();
        match self {
            Self::Pipe(mut pipe) => create_snapshot(data, &options, &mut pipe, &mut progress),
            Self::S3(mut upload) => {
                let created = create_snapshot(data, &options, &mut *upload, &mut progress)?;
                upload.finish().context("cannot finish the upload")?;
                Ok(created)
            }
            Self::File { name, mut file } => {
                let created = create_snapshot(data, &options, &mut file, &mut progress)?;
                // What lies beside the snapshot is its own at every moment, or not there.
                let beside = ["manifest.json", "manifest.json.minisig"].map(|end| format!("{name}.{end}"));
                for old in &beside {
                    match fs::remove_file(old) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => {
                            return Err(error).with_context(|| format!("cannot replace {old}"));
                        }
                        _ => {}
                    }
                }
                file.finish().with_context(|| format!("cannot write {name}"))?;
                let contents = [Some(&created.text[..]), created.signature.as_deref().map(str::as_bytes)];
                for (name, content) in beside.iter().zip(contents) {
                    if let Some(content) = content {
                        fs::write(name, content).with_context(|| format!("cannot write {name}"))?;
                    }
                }
                Ok(created)
            }
        }
    }
}

fn verified(name: &str, proven: Result<Manifest, ReadError>, json: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
    let (text, code) = match proven {
        Ok(manifest) if json => (
            serde_json::json!({"ok": true, "snapshot": manifest.info}).to_string(),
            0,
        ),
        Ok(manifest) => (format!("{name}: ok: {}", describe(&manifest)), 0),
        Err(ReadError::Io(error)) => return Err(Unusable(format!("cannot read {name}: {error}")).into()),
        Err(refused) if json => (
            serde_json::json!({"ok": false, "problem": refused.to_string()}).to_string(),
            1,
        ),
        Err(refused) => (format!("{name}: {refused}"), 1),
    };
    print(out, &(text + "\n"))?;
    Ok(code)
}

fn describe(manifest: &Manifest) -> String {
    let chains = manifest.info.chains.values().map(|chain| {
        let height = chain.best.map(|best| format!(" #{best}")).unwrap_or_default();
        format!("{}{height}", chain.id)
    });
    let chains: Vec<_> = chains.collect();
    format!(
        "{}, {}, {} files with {} MiB, made {}",
        chains.join(", "),
        manifest.info.consistency.name(),
        manifest.info.files,
        manifest.info.bytes >> 20,
        manifest.info.at
    )
}

fn secret_key(path: &Path) -> anyhow::Result<SecretKey> {
    let unusable = |error: io::Error| Unusable(format!("cannot read {}: {error}", path.display()));
    let text = fs::read_to_string(path).map_err(unusable)?;
    SecretKey::parse(&text).map_err(|error| Unusable(format!("{}: {error}", path.display())).into())
}

fn key(given: &str) -> anyhow::Result<PublicKey> {
    let text = fs::read_to_string(given).unwrap_or_else(|_| given.to_owned());
    PublicKey::parse(&text).map_err(|error| Unusable(format!("{given}: {error}")).into())
}

fn sha256(text: &str) -> Result<[u8; 32], String> {
    parse_sha256(&text.to_ascii_lowercase()).ok_or_else(|| "give the 64 hex digits of a SHA-256".to_owned())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// `work`, unless a signal comes first: then what it does in other threads ends with the process.
async fn until_signal<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        done = work => done,
        _ = terminate.recv() => anyhow::bail!("stopped by a signal"),
        _ = interrupt.recv() => anyhow::bail!("interrupted"),
        _ = hang_up.recv() => anyhow::bail!("the terminal is gone"),
    }
}
