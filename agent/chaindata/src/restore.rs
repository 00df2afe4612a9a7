//! Restores a snapshot, or a plain archive, as the data of a data directory.
//!
//! [`prepare_restore`] unpacks and verifies beside the present data, while a node may run on that. [`commit_restore`] swaps
//! the two, while none may: by renames that stand in the journal first, so that a restore that was killed can be finished.

mod archive;
mod commit;
mod disk;
mod prepare;
mod snapshot;
mod swap;
mod unpack;

#[cfg(any(test, fuzzing))]
pub(crate) use self::archive::{MAGIC_LENGTH, decoder};
pub use self::commit::{abandon_restore, commit_restore};
pub use self::prepare::{PreparedRestore, RestoreOptions, prepare_restore};
#[cfg(any(test, fuzzing))]
pub(crate) use self::unpack::{UnknownEntryPolicy, UnpackTarget, unpack};
