//! Destinations of a snapshot: standard output, a file, or S3.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use agent_chaindata::compatibility::NodeReport;
use agent_chaindata::snapshot::{
    AtomicFile, Consistency, CreateOptions, CreatedSnapshot, SecretKey, create_snapshot, snapshot_size,
};
use agent_config::Config;
use agent_files::Dir;

use super::progress::ProgressPrinter;
use super::remote::Remote;
use super::stdio::unlocked_stdout;
use super::upload::Upload;
use crate::commands::background::blocking;
use crate::error::UsageError;

pub(super) enum Destination {
    Stdout(File),
    File { name: String, file: AtomicFile },
    S3(Box<Upload>),
}

impl Destination {
    pub(super) async fn open(to: &str, config: &Config) -> anyhow::Result<Self> {
        if to == "-" {
            if io::stdout().is_terminal() {
                let text = "a snapshot is nothing for a terminal: give a file, or pipe it on";
                return Err(UsageError::Unusable(text.to_owned()).into());
            }
            return Ok(Self::Stdout(unlocked_stdout()?));
        }
        if Remote::is_meant(to) {
            let data = config.data.path.clone();
            let bytes = blocking(move || snapshot_size(&data)).await?;
            let upload = Upload::open(to, &config.ec2.imds, bytes, &config.agent.state_dir).await?;
            return Ok(Self::S3(Box::new(upload)));
        }
        let path = file_path(to, &config.data.path)?;
        let file = AtomicFile::create(&path).with_context(|| format!("cannot write {to}"))?;
        let name = path.display().to_string();
        Ok(Self::File { name, file })
    }

    /// The file that is left when writing fails: its directory, and its name there.
    pub(super) fn partial_file(&self) -> io::Result<Option<(Dir, OsString)>> {
        match self {
            Self::File { file, .. } => file.partial().map(Some),
            Self::Stdout(_) | Self::S3(_) => Ok(None),
        }
    }

    /// Writes a snapshot of `data`, and beside a file its manifest and signature.
    pub(super) fn write_snapshot(
        self,
        data: &Path,
        consistency: Consistency,
        nodes: &BTreeMap<String, NodeReport>,
        signer: Option<&SecretKey>,
    ) -> anyhow::Result<CreatedSnapshot> {
        let options = CreateOptions {
            consistency,
            nodes,
            signer,
        };
        let mut progress = ProgressPrinter::default();
        match self {
            Self::Stdout(mut stdout) => create_snapshot(data, &options, &mut stdout, &mut progress),
            Self::S3(mut upload) => {
                let created = create_snapshot(data, &options, &mut *upload, &mut progress)?;
                upload.finish().context("cannot finish the upload")?;
                Ok(created)
            }
            Self::File { name, mut file } => {
                let created = create_snapshot(data, &options, &mut file, &mut progress)?;
                finish_file(&name, file, &created)?;
                Ok(created)
            }
        }
    }
}

/// The path of the file to write. A link of root's or of this user's is followed, in a directory of theirs.
///
/// Fails for a directory, for a link that another user could change, and for a file in the data directory.
fn file_path(to: &str, data: &Path) -> anyhow::Result<PathBuf> {
    let unusable = |text: String| Err(UsageError::Unusable(text).into());
    let mut path = PathBuf::from(to);
    let is_link = fs::symlink_metadata(&path).is_ok_and(|about| about.is_symlink());
    if is_link {
        let trusted = [0, rustix::process::geteuid().as_raw()];
        let places = [Some(path.as_path()), path.parent()];
        let owned = |place: &Path| fs::symlink_metadata(place).is_ok_and(|about| trusted.contains(&about.uid()));
        if !places
            .into_iter()
            .flatten()
            .filter(|place| *place != Path::new(""))
            .all(owned)
        {
            return unusable(format!(
                "{to}: a symbolic link that another user can change: name the file itself"
            ));
        }
        path = fs::canonicalize(&path).unwrap_or(path);
    }
    let is_file = fs::metadata(&path).map_or(!to.ends_with('/'), |about| about.is_file());
    if !is_file {
        return unusable(format!("{to}: give the name of a file, or - for standard output"));
    }
    let dir = std::path::absolute(&path).ok();
    let dir = dir.and_then(|path| fs::canonicalize(path.parent()?).ok());
    let data = fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
    if dir.is_some_and(|dir| dir.starts_with(data)) {
        return unusable(format!("{to}: lies in data.path, which is copied; name another place"));
    }
    Ok(path)
}

/// Completes the file, and replaces the manifest and signature beside it: at no moment are those another snapshot's.
fn finish_file(name: &str, file: AtomicFile, created: &CreatedSnapshot) -> anyhow::Result<()> {
    const MANIFEST: &str = ".manifest.json";
    const SIGNATURE: &str = ".manifest.json.minisig";
    for end in [MANIFEST, SIGNATURE] {
        let removed = file.remove_beside(end);
        removed.with_context(|| format!("cannot replace {name}{end}"))?;
    }
    let signature = created.signature.as_deref().map(|text| (SIGNATURE, text.as_bytes()));
    let beside: Vec<_> = [(MANIFEST, &created.text[..])].into_iter().chain(signature).collect();
    file.finish(&beside)
        .with_context(|| format!("cannot write {name}, or what belongs beside it"))
}
