//! Bake certificate: a digest of the chain data and the versions it was made with, in a file beside that data.

mod compare;
#[cfg(test)]
pub(crate) mod tests;
mod verify;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use agent_files::{Dir, Refusal};
use anyhow::ensure;
use jiff::Timestamp;
use ring::digest::SHA256;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use agent_core::event::Chain;
use agent_core::schema::schema_of;

use crate::layout::{CERTIFICATE_FILE, Database, PARTIAL_CERTIFICATE_FILE};
use crate::survey::TreeDigest;

pub(crate) use self::compare::version_numbers;
pub use self::compare::{database_conflict, node_conflict};
pub use self::verify::{VerifyReport, verify_certificate};

/// Version of the format; additions do not raise it.
pub const SCHEMA: u32 = 1;
/// Field with the digest of all others.
const DIGEST_FIELD: &str = "sha256";
/// The largest certificate that is read, bytes; usual are a few KiB.
const MAX_SIZE: u64 = 1 << 20;

/// What the chain data was when a bake proved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    pub schema: u32,
    pub at: Timestamp,
    pub agent: String,
    pub image: BakedImage,
    /// The chains that were watched until they were in sync.
    pub chains: BTreeMap<Chain, BakedChain>,
    pub stop: BakedStop,
    pub tree: TreeDigest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BakedImage {
    pub reference: String,
    /// `sha256:…` of the image that ran.
    pub digest: String,
}

/// One chain's part of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BakedChain {
    /// Id of the chain specification.
    pub id: String,
    /// 64 hex digits.
    pub genesis: String,
    /// Height when the node was asked to stop; the database has at least that.
    pub best: u64,
    pub finalized: Option<u64>,
    pub database: Database,
    /// The chain's directory, relative to the certificate.
    pub path: String,
    /// The node's version, from its `build_info`.
    pub node: String,
}

/// How the node ended. A certificate is only written for exit code 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BakedStop {
    pub clean: bool,
    pub exit_code: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{}: there is none; bake this directory, or name the data directory of an image", .0.display())]
    Missing(PathBuf),
    #[error("{}: {reason}; take another image, or bake again", path.display())]
    Damaged { path: PathBuf, reason: String },
}

/// Reads the certificate of a data directory. Blocks on the disk.
///
/// Fails when there is none, or when it is damaged or of another schema.
pub fn read_certificate(data: &Path) -> Result<Certificate, CertificateError> {
    match Dir::open(data) {
        Ok(data) => read_certificate_in(&data),
        Err(error) => Err(unreadable(data.join(CERTIFICATE_FILE), &error)),
    }
}

/// The same as [`read_certificate`], in an open directory.
pub(crate) fn read_certificate_in(data: &Dir) -> Result<Certificate, CertificateError> {
    let path = data.path().join(CERTIFICATE_FILE);
    let damaged = |reason: String| CertificateError::Damaged {
        path: path.clone(),
        reason,
    };
    let text = data.read_file(CERTIFICATE_FILE, MAX_SIZE);
    parse(&text.map_err(|error| unreadable(path.clone(), &error))?).map_err(|error| damaged(error.to_string()))
}

/// The certificate of a file's text. Fails with what is wrong with it.
pub(crate) fn parse(text: &[u8]) -> anyhow::Result<Certificate> {
    let schema = schema_of(text)?;
    ensure!(schema == SCHEMA, "its schema is {schema}, this agent knows {SCHEMA}");
    let mut whole: Value = serde_json::from_slice(text)?;
    let stored = whole.as_object_mut().and_then(|fields| fields.remove(DIGEST_FIELD));
    ensure!(
        stored == Some(digest(&whole).into()),
        "it is not what was certified: its own sha256 differs"
    );
    Ok(serde_json::from_value(whole)?)
}

fn unreadable(path: PathBuf, error: &io::Error) -> CertificateError {
    let reason = match Refusal::find(error) {
        Some(refusal) => refusal.why.to_owned(),
        None if error.kind() == io::ErrorKind::NotFound => return CertificateError::Missing(path),
        None => error.to_string(),
    };
    CertificateError::Damaged { path, reason }
}

/// Digest of a certificate without its digest field, as one line of JSON with sorted names.
fn digest(certificate: &Value) -> String {
    hex::encode(ring::digest::digest(&SHA256, certificate.to_string().as_bytes()))
}

pub fn write_certificate(data: &Path, certificate: &Certificate) -> io::Result<()> {
    Dir::open(data)?.replace_file(CERTIFICATE_FILE.as_ref(), &text(serde_json::to_value(certificate)?)?)
}

/// The text of a certificate, with its digest.
pub(crate) fn text(mut certificate: Value) -> io::Result<Vec<u8>> {
    certificate[DIGEST_FIELD] = digest(&certificate).into();
    let mut text = serde_json::to_vec_pretty(&certificate)?;
    text.push(b'\n');
    Ok(text)
}

/// Removes the partial file of a write that was killed; nothing else of that name.
pub fn remove_partial_certificate(data: &Path) -> io::Result<()> {
    let Some(data) = find(data)? else {
        return Ok(());
    };
    match data.entry(PARTIAL_CERTIFICATE_FILE) {
        Ok(found) if found.is_file() => data.remove_file(PARTIAL_CERTIFICATE_FILE),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the certificate durably, before the data changes.
pub fn remove_certificate(data: &Path) -> io::Result<()> {
    find(data)?.map_or(Ok(()), |data| remove_certificate_in(&data))
}

/// The same as [`remove_certificate`], in an open directory.
pub(crate) fn remove_certificate_in(data: &Dir) -> io::Result<()> {
    data.remove_file(CERTIFICATE_FILE)?;
    data.sync()
}

/// The data directory, where there is one.
fn find(data: &Path) -> io::Result<Option<Dir>> {
    match Dir::open(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        data => data.map(Some),
    }
}
