//! The certificate: what the chain data was when it was proven, beside that data.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use agent_core::event::Chain;

use crate::files;
use crate::layout::{CERTIFICATE_FILE, Database, PARTIAL_CERTIFICATE_FILE};
use crate::survey::TreeDigest;

/// Version of the form; additions do not raise it.
pub const SCHEMA: u32 = 1;
/// Field with the digest of all others.
const DIGEST: &str = "sha256";
/// The largest certificate that is read, bytes; one has a few KiB.
const LARGEST: u64 = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    pub schema: u32,
    /// When it was written.
    pub at: Timestamp,
    /// Version of the agent that baked.
    pub agent: String,
    pub image: Image,
    /// The chains that were watched until they were in sync.
    pub chains: BTreeMap<Chain, BakedChain>,
    pub stop: Stop,
    pub tree: TreeDigest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// As configured.
    pub reference: String,
    /// `sha256:…` of what ran.
    pub digest: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BakedChain {
    /// Id of the chain specification.
    pub id: String,
    /// 64 hex digits.
    pub genesis: String,
    /// Height when the stop was ordered: the database has at least that.
    pub best: u64,
    pub finalized: Option<u64>,
    pub database: Database,
    /// The chain's directory, relative to the certificate.
    pub path: String,
    /// The node's version, from its `build_info`.
    pub node: String,
}

/// How the node ended; a certificate is only written for exit code 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub clean: bool,
    pub exit_code: i64,
}

/// Why there is no certificate to go by.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("{}: there is none; bake this directory, or name the data directory of an image", .0.display())]
    Missing(PathBuf),
    #[error("{}: {reason}; take another image, or bake again", path.display())]
    Damaged { path: PathBuf, reason: String },
}

/// Reads the certificate of a data directory.
///
/// Fails when there is none, or none that can be understood. This blocks on the disk.
pub fn read(data: &Path) -> Result<Certificate, Unreadable> {
    #[derive(Deserialize)]
    struct Schema {
        schema: u32,
    }
    let path = data.join(CERTIFICATE_FILE);
    let damaged = |reason: String| Unreadable::Damaged {
        path: path.clone(),
        reason,
    };
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Unreadable::Missing(path)),
        Err(error) => return Err(damaged(error.to_string())),
        Ok(found) if !found.is_file() => return Err(damaged("is no regular file".to_owned())),
        Ok(_) => {}
    }
    let mut text = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text))
        .map_err(|error| damaged(error.to_string()))?;
    if text.len() as u64 > LARGEST {
        return Err(damaged("is larger than 1 MiB".to_owned()));
    }
    // First alone: what else stands in a newer one is not ours to understand.
    let Schema { schema } = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if schema != SCHEMA {
        return Err(damaged(format!("its schema is {schema}, this agent knows {SCHEMA}")));
    }
    let mut whole: Value = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    let told = whole.as_object_mut().and_then(|fields| fields.remove(DIGEST));
    if told != Some(digest(&whole).into()) {
        return Err(damaged(
            "it is not what was certified: its own sha256 differs".to_owned(),
        ));
    }
    serde_json::from_value(whole).map_err(|error| damaged(error.to_string()))
}

/// Of the certificate without its digest: one line of JSON, names sorted.
fn digest(certificate: &Value) -> String {
    hex::encode(Sha256::digest(certificate.to_string()))
}

/// Puts the certificate beside the data: whole or not at all, also after a power cut.
pub fn write(data: &Path, certificate: &Certificate) -> io::Result<()> {
    let mut whole = serde_json::to_value(certificate)?;
    whole[DIGEST] = digest(&whole).into();
    let mut text = serde_json::to_vec_pretty(&whole)?;
    text.push(b'\n');
    files::replace_file(&data.join(CERTIFICATE_FILE), &text)
}

/// Takes away what a write that was killed has left; nothing else of that name.
pub fn withdraw_half(data: &Path) -> io::Result<()> {
    let half = data.join(PARTIAL_CERTIFICATE_FILE);
    match fs::symlink_metadata(&half) {
        Ok(found) if found.is_file() => fs::remove_file(half),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes away what an earlier bake said, lastingly: the node is about to change the data.
pub fn withdraw(data: &Path) -> io::Result<()> {
    match fs::remove_file(data.join(CERTIFICATE_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match files::sync_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
pub mod tests;
