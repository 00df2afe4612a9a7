//! Chain data on disk: its layout and survey, the bake certificate, snapshots and restores.
//!
//! Blocks on the disk, and nothing else: no async, no Docker, no network, no terminal. Who calls it stops the node, reads
//! from the network, and prints what an [`observer::Observer`] receives.
//!
//! Begin with [`layout`], which says what may be in a data directory, then [`snapshot`] and [`restore`].

pub mod certificate;
pub mod compatibility;
pub mod database_versions;
#[cfg(any(test, fuzzing))]
#[path = "tests/fuzzing.rs"]
pub mod fuzzing;
pub mod journal;
pub mod layout;
pub mod lock;
pub mod observer;
pub mod restore;
mod restore_dir;
pub mod scrub;
pub mod snapshot;
pub mod stop_marker;
pub mod survey;
#[cfg(test)]
mod tests;
