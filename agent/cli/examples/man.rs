//! Writes the manual pages of `t0rn-agent` and of each of its commands into a folder.
//!
//! usage: cargo run --example man -- FOLDER

use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;
use t0rn_agent::Cli;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .context("usage: man FOLDER")?;
    clap_mangen::generate_to(Cli::command(), &folder)
        .with_context(|| format!("failed to write manual pages into {}", folder.display()))
}
