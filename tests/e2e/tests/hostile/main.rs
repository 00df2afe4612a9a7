//! The collator's user as an attacker of the commands that root runs: a process with its user id that owns the data and the
//! keys, plants links, pipes, devices and journals there, and exchanges entries while a command is at work.
//!
//! Beside the data lies the canary, a tree of root's with the same names. Whatever a command is led to do there (to open,
//! read, write, own, move or remove) fails the test.

mod attacker;
mod bake;
mod canary;
mod commands;
mod host;
mod namespace;
mod planted;
mod races;
