//! What a snapshot says about itself: its info before the data, its manifest after it.

use std::io::Read;

use agent_core::schema::schema_of;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::error::ReadError;
use super::format::{Digest, Part, PartReader, SCHEMA, sha256};
use crate::compatibility::ChainFactsByDir;

/// State of the data when it was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(IntoStaticStr)]
#[strum(serialize_all = "kebab-case", const_into_str)]
pub enum Consistency {
    Clean,
    CrashConsistent,
}

/// Description of a snapshot. It stands before the data, and again in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotInfo {
    pub schema: u32,
    /// Unique to the snapshot.
    pub id: String,
    pub at: Timestamp,
    pub agent: String,
    pub consistency: Consistency,
    pub chains: ChainFactsByDir,
    pub files: u64,
    /// Content of the files, bytes.
    pub bytes: u64,
}

/// Digests of everything in a snapshot: written last, and what a signature covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    #[serde(flatten)]
    pub info: SnapshotInfo,
    /// SHA-256 of the info as it stands in the stream.
    pub head_sha256: String,
    /// Length of the tar stream, bytes.
    pub tar_bytes: u64,
    /// Digest over the chunks' digests.
    pub sha256: String,
    /// Offset of each chunk's frame, its compressed length and its SHA-256.
    pub chunks: Vec<(u64, u32, String)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) info: SnapshotInfo,
    /// SHA-256 of the info as it stands in the stream.
    pub(crate) sha256: Digest,
    /// Length of the header, bytes: the offset of the first chunk.
    pub(crate) length: u64,
}

/// Reads the header. Nothing proves it until the manifest does.
pub(crate) fn read_header(from: &mut dyn Read) -> Result<Header, ReadError> {
    let mut parts = PartReader::new(from, 0);
    let Some(Part::Head(text)) = parts.next().map_err(ReadError::parsing)? else {
        return Err(ReadError::damaged("byte 0: no snapshot begins here"));
    };
    let unreadable = |error: serde_json::Error| ReadError::damaged(format!("the head cannot be read: {error}"));
    let schema = schema_of(&text).map_err(unreadable)?;
    if schema != SCHEMA {
        return Err(ReadError::damaged(format!(
            "the snapshot has schema {schema}, this agent knows {SCHEMA}: use its own version"
        )));
    }
    Ok(Header {
        info: serde_json::from_slice(&text).map_err(unreadable)?,
        sha256: sha256(&text),
        length: parts.at(),
    })
}
