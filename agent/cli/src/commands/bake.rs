//! `bake` and `bake verify`: makes chain data for an image, and checks it against its certificate.

mod certify;
mod derive_config;
mod progress_marks;
mod run;
mod sync;
mod sync_gate;

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::{Args, Subcommand};

use agent_chaindata::certificate::verify_certificate;
use agent_chaindata::layout::CERTIFICATE_FILE;
use agent_config::parse_duration;

use self::run::run_bake;
use super::parse_number;
use crate::error::{ArgumentError, UsageError};
use crate::globals::GlobalArgs;
use crate::output::print;

pub(crate) const EXAMPLES: &str = "\
Takes the collator's own configuration, without authority and keys, in a container of its own
(<name>-bake). Killed at any point, the next bake goes on. After an error there is no new certificate.

Exit codes: 0 certified (verify: as certified), 1 failed (verify: differs), 2 usage or configuration.

Examples:
  t0rn-agent bake
  t0rn-agent bake --within 5 --credible 10m --deadline 2d
  t0rn-agent bake verify /var/lib/t0rn-collator
  t0rn-agent bake verify /mnt/chain --json | jq .differences";

#[derive(Debug, Args)]
pub(crate) struct BakeArgs {
    #[command(flatten)]
    options: BakeOptions,
    #[command(subcommand)]
    command: Option<BakeCommand>,
}

#[derive(Debug, Clone, Copy, Args)]
struct BakeOptions {
    /// Blocks that each chain may be behind its target
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = parse_blocks)]
    within: u64,
    /// For how long the chains have to be there without a break, with peers and a target that moves
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_limit)]
    credible: Duration,
    /// When to give up
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = parse_limit)]
    deadline: Duration,
}

#[derive(Debug, Subcommand)]
enum BakeCommand {
    /// Hold chain data against its certificate, on any machine; prints every difference
    Verify {
        /// The data directory, with bake.json in it
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

impl BakeArgs {
    /// Whether progress goes to the log instead of a terminal.
    pub(crate) fn is_logged(&self) -> bool {
        self.command.is_none() && !io::stderr().is_terminal()
    }

    pub(crate) async fn execute(&self, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
        if let Some(BakeCommand::Verify { dir, json }) = &self.command {
            if !dir.is_dir() {
                anyhow::bail!(UsageError::NoDataDirectory(dir.clone()));
            }
            let report = verify_certificate(dir);
            let text = if *json {
                serde_json::to_string(&report)? + "\n"
            } else {
                report.render(dir)
            };
            print(out, &text)?;
            return Ok(u8::from(!report.ok));
        }
        if self.options.deadline <= self.options.credible {
            anyhow::bail!(UsageError::DeadlineTooShort);
        }
        let config = globals.load_config()?;
        let certificate = Box::pin(run_bake(&config, self.options)).await?;
        for (name, chain) in &certificate.chains {
            print(out, &format!("{}: {} #{}\n", name.into_str(), chain.id, chain.best))?;
        }
        let path = config.data.path.join(CERTIFICATE_FILE);
        print(out, &format!("certified: {}\n", path.display()))?;
        Ok(0)
    }
}

fn parse_blocks(text: &str) -> Result<u64, ArgumentError> {
    parse_number(text, 0..=1_000_000)
}

fn parse_limit(text: &str) -> anyhow::Result<Duration> {
    let time = parse_duration(text)?;
    ensure!(!time.is_zero(), "give a time above 0, such as 30s, 2m or 12h");
    Ok(time)
}
