//! Destinations of a snapshot: standard output, a file, or S3.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use agent_chaindata::compatibility::NodeReport;
use agent_chaindata::snapshot::{
    AtomicFile, Consistency, CreateOptions, CreatedSnapshot, SecretKey, create_snapshot, snapshot_size,
};
use agent_config::Config;

use super::background::blocking;
use super::progress::ProgressPrinter;
use super::remote::Remote;
use super::stdio::unlocked_stdout;
use super::upload::Upload;
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

    /// The file that is left when writing fails.
    pub(super) fn partial_file(&self) -> Option<PathBuf> {
        match self {
            Self::File { file, .. } => Some(file.partial().to_owned()),
            Self::Stdout(_) | Self::S3(_) => None,
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

/// The path of the file to write; a link is followed.
///
/// Fails for a directory, and for a file in the data directory.
fn file_path(to: &str, data: &Path) -> Result<PathBuf, UsageError> {
    let path = fs::canonicalize(to).unwrap_or_else(|_| PathBuf::from(to));
    let is_file = fs::metadata(&path).map_or(!to.ends_with('/'), |about| about.is_file());
    if !is_file {
        let text = format!("{to}: give the name of a file, or - for standard output");
        return Err(UsageError::Unusable(text));
    }
    let dir = std::path::absolute(&path).ok();
    let dir = dir.and_then(|path| fs::canonicalize(path.parent()?).ok());
    let data = fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
    if dir.is_some_and(|dir| dir.starts_with(data)) {
        let text = format!("{to}: lies in data.path, which is copied; name another place");
        return Err(UsageError::Unusable(text));
    }
    Ok(path)
}

/// Completes the file, and replaces the manifest and signature beside it: at no moment are those another snapshot's.
fn finish_file(name: &str, file: AtomicFile, created: &CreatedSnapshot) -> anyhow::Result<()> {
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
            let written = File::create_new(name).and_then(|mut file| file.write_all(content));
            written.with_context(|| format!("cannot write {name}"))?;
        }
    }
    Ok(())
}
