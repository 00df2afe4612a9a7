//! `bake` and `bake verify`.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::print;
use crate::bake::{self, Options};
use agent_config::{Config, ConfigError, parse_duration};

pub(super) const EXAMPLES: &str = "\
Takes the collator's own configuration, without authority and keys, in a container of its own
(<name>-bake). Killed at any point, the next bake goes on. After an error there is no new certificate.

Exit codes: 0 certified (verify: as certified), 1 failed (verify: differs), 2 usage or configuration.

Examples:
  t0rn-agent bake
  t0rn-agent bake --within 5 --credible 10m --deadline 2d
  t0rn-agent bake verify /var/lib/t0rn-collator
  t0rn-agent bake verify /mnt/chain --json | jq .differences";

#[derive(Debug, Args)]
pub(super) struct Bake {
    /// Blocks that each chain may be behind its target
    #[arg(long, value_name = "N", default_value_t = 10)]
    within: u64,
    /// For how long the chains have to be there without a break, with peers and a target that moves
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = time)]
    credible: Duration,
    /// When to give up
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = time)]
    deadline: Duration,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Hold chain data against its certificate, on any machine; tells every difference
    Verify {
        /// The data directory, with bake.json in it
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

impl Bake {
    /// Whether progress goes to the log and not to a terminal.
    pub(super) fn is_logged(&self) -> bool {
        self.what.is_none() && !io::stderr().is_terminal()
    }

    pub(super) async fn execute(
        &self,
        load: impl FnOnce() -> Result<Config, ConfigError>,
        out: &mut dyn Write,
    ) -> anyhow::Result<u8> {
        if let Some(What::Verify { dir, json }) = &self.what {
            if !dir.is_dir() {
                anyhow::bail!(Misused::NoDirectory(dir.clone()));
            }
            let report = agent_chaindata::certificate::verify_certificate(dir);
            let text = if *json {
                serde_json::to_string(&report)? + "\n"
            } else {
                report.render(dir)
            };
            print(out, &text)?;
            return Ok(u8::from(!report.ok));
        }
        if self.deadline <= self.credible {
            anyhow::bail!(Misused::NoTime);
        }
        let config = load()?;
        let options = Options {
            within: self.within,
            credible: self.credible,
            deadline: self.deadline,
        };
        let certificate = Box::pin(bake::run(&config, options)).await?;
        for (name, chain) in &certificate.chains {
            print(out, &format!("{}: {} #{}\n", name.name(), chain.id, chain.best))?;
        }
        let path = config.data.path.join(agent_chaindata::layout::CERTIFICATE_FILE);
        print(out, &format!("certified: {}\n", path.display()))?;
        Ok(0)
    }
}

/// A usage error.
#[derive(Debug, thiserror::Error)]
pub(super) enum Misused {
    #[error("{} is no directory; name the data directory, in which bake.json lies", .0.display())]
    NoDirectory(PathBuf),
    #[error("--deadline has to be longer than --credible: before that, no bake is done")]
    NoTime,
}

fn time(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() {
        return Err("give a time above 0, such as 30s, 2m or 12h".to_owned());
    }
    Ok(time)
}
