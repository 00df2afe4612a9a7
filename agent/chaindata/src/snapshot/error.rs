//! Errors of reading a snapshot.

use std::io;

use super::signature::SignatureError;

/// Why a snapshot is refused. Each names the place.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{0}")]
    Damaged(String),
    #[error("cannot read the snapshot: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl ReadError {
    pub(super) fn damaged(text: impl Into<String>) -> Self {
        Self::Damaged(text.into())
    }

    /// The error of a parser, which reports damage as invalid data.
    pub(super) fn parsing(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::InvalidData {
            Self::Damaged(error.to_string())
        } else {
            Self::Io(error)
        }
    }
}
