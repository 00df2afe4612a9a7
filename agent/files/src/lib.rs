//! File work by handle, in directories that others own.
//!
//! A process with more rights than the owner of a directory must not follow a name in there: the owner may make a link of
//! it, at any moment. A [`Dir`] is opened once. Everything below it is opened relative to its handle, with a kernel that
//! follows no link and crosses no mount (`openat2`), and judged by what was opened, never by a name that was looked at
//! before.
//!
//! Blocks on the disk. [`replace_file`] and its neighbours do single writes the same way.

mod dir;
mod durable;
mod mountinfo;
mod refusal;
mod remove;
mod resolve;
#[cfg(test)]
mod tests;

pub use self::dir::{Dir, is_link, is_other_file_system};
pub use self::durable::{make_dir, read_file, remove_file, replace_file, sync_dir, write_file};
pub use self::mountinfo::Mount;
pub use self::refusal::{Refusal, printable};

/// The effective user of this process.
pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
