//! The command line of `t0rn-agent`.

pub mod bake;
pub mod check;
pub mod cli;
mod progress;
mod remote;
pub mod replay;
mod rest;
mod stdio;
mod upload;
