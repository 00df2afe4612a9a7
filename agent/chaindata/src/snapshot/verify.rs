//! Verifies a snapshot without writing anything.

use std::io::Read as _;

use super::error::ReadError;
use super::manifest::{Manifest, read_header};
use super::reader::{Checkpoint, VerifiedReader};
use super::signature::PublicKey;
use super::source::SnapshotSource;
use crate::observer::Observer;

/// Verifies every chunk, the manifest and, with a key, its signature. Blocks on the source.
pub fn verify_snapshot(
    source: &dyn SnapshotSource,
    key: Option<&PublicKey>,
    observer: &mut dyn Observer,
) -> Result<Manifest, ReadError> {
    let mut from = source.open(0)?;
    let header = read_header(&mut from)?;
    observer.begin("verify", Some(header.info.bytes));
    let first = Checkpoint::first(&header);
    let mut reader = VerifiedReader::new(from, header, first)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => observer.advance(read as u64),
            Err(error) => {
                return Err(match error.downcast::<ReadError>() {
                    Ok(error) => error,
                    Err(error) => error.into(),
                });
            }
        }
    }
    let manifest = reader.finish(key)?;
    observer.end();
    Ok(manifest)
}
