//! The owner of the data as an attacker: a process with the collator's user id that plants and renames, while root works in
//! the directory. Beside it a tree of root's, the canary, whose inodes, owners, modes and content must not change, and whose
//! content must not leave.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attacker;
mod canary;
mod planted;
mod races;
mod support;
