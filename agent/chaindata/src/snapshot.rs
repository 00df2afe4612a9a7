//! Snapshots of chain data: a `.tar.zst` that any zstd and tar read, cut into chunks that are verified one by one.
//!
//! [`create_snapshot`] writes one, [`verify_snapshot`] proves one; [`crate::restore`] puts one in place of the present data.

mod atomic_file;
mod create;
mod error;
mod format;
mod live_copy;
mod manifest;
mod pool;
mod reader;
mod signature;
mod source;
mod verify;
mod writer;

pub use self::atomic_file::AtomicFile;
pub use self::create::{CreateOptions, create_snapshot, snapshot_size};
pub use self::error::ReadError;
#[cfg(any(test, fuzzing))]
pub(crate) use self::format::PartReader;
pub(crate) use self::format::{is_snapshot, is_zstd, read_up_to};
pub use self::format::{parse_sha256, sha256};
pub(crate) use self::live_copy::remove_leftovers;
pub use self::manifest::{Consistency, Manifest, SnapshotInfo};
pub(crate) use self::manifest::{Header, read_header};
pub(crate) use self::reader::{Checkpoint, VerifiedReader};
pub use self::signature::{PublicKey, SecretKey, SignatureError};
pub use self::source::SnapshotSource;
pub use self::verify::verify_snapshot;
pub use self::writer::CreatedSnapshot;

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::create::copy_entries;
    pub(crate) use super::format::SCHEMA;
    pub(crate) use super::signature::tests::keys;
    pub(crate) use super::writer::write_snapshot;
}
