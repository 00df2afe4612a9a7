//! The command line: global options and all commands.

use clap::{Parser, Subcommand};

use crate::commands::bake::{self, BakeArgs};
use crate::commands::check::{self, CheckArgs};
use crate::commands::completions::{self, CompletionsArgs};
use crate::commands::config::{self, ConfigCommand};
use crate::commands::control::{self, PauseArgs, RestartArgs};
use crate::commands::identity::{self, IdentityCommand};
use crate::commands::incidents::{self, IncidentsArgs};
use crate::commands::init::{self, InitArgs};
use crate::commands::logs::{self, LogsArgs};
use crate::commands::notify::{self, NotifyCommand};
use crate::commands::reload::{self, ReloadArgs};
use crate::commands::replay::{self, ReplayArgs};
use crate::commands::report::{self, ReportArgs};
use crate::commands::run;
use crate::commands::snapshot::{self, SnapshotCommand};
use crate::commands::status::{self, StatusArgs};
use crate::commands::takeover::{self, TakeoverArgs};
use crate::commands::update::{self, UpdateArgs};
use crate::globals::GlobalArgs;
use crate::output::JsonArg;

const EXAMPLES: &str = "\
Examples:
  t0rn-agent config check                          is the configuration sound?
  t0rn-agent run                                   the agent itself, usually as a systemd service
  t0rn-agent status                                how is the collator?
  t0rn-agent pause --for 2h --reason \"new volume\"  hands off for two hours

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 agent unreachable.
`status`: 0 ok, 1 degraded, 2 critical, 3 unknown or agent unreachable.";

/// Keeps one Polkadot-SDK collator container running and making progress.
#[derive(Debug, Parser)]
#[command(name = "t0rn-agent", version, arg_required_else_help = true, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) globals: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// Run the agent: pull the image, keep the collator running and in sync
    #[command(after_help = run::RUN_EXAMPLES)]
    Run,
    /// Make the data directory for the collator's user, where it is missing
    #[command(after_help = run::PREPARE_EXAMPLES)]
    Prepare,
    /// Say how the collator is
    #[command(after_help = status::EXAMPLES)]
    Status(StatusArgs),
    /// Show the collator's log
    #[command(after_help = logs::EXAMPLES)]
    Logs(LogsArgs),
    /// Stop the collator cleanly and start it again
    #[command(after_help = control::RESTART_EXAMPLES)]
    Restart(RestartArgs),
    /// Stop the collator; it stays stopped, over restarts of agent and host, until `start`
    #[command(after_help = "Example:\n  t0rn-agent stop")]
    Stop(JsonArg),
    /// Start the collator again after `stop`, or after a hold once its cause is cured
    #[command(after_help = "Example:\n  t0rn-agent start")]
    Start(JsonArg),
    /// Suspend all automatic actions for a while; watching goes on
    #[command(after_help = control::PAUSE_EXAMPLES)]
    Pause(PauseArgs),
    /// End a pause, and let the agent try again what it had given up
    #[command(after_help = "Example:\n  t0rn-agent resume")]
    Resume(JsonArg),
    /// Run another image of the collator, and take it back when it does no good
    #[command(after_help = update::EXAMPLES)]
    Update(UpdateArgs),
    /// What the agent did, why, and whether it helped
    #[command(after_help = incidents::EXAMPLES)]
    Incidents(IncidentsArgs),
    /// Write an incident with all that belongs to it into one HTML file for a bug report
    #[command(after_help = report::EXAMPLES)]
    Report(ReportArgs),
    /// Look at everything that makes a collator fail, before or while it runs
    #[command(after_help = check::EXAMPLES)]
    Check(CheckArgs),
    /// Put the agent's collator in the place of a container that runs already
    #[command(after_help = takeover::EXAMPLES)]
    Takeover(TakeoverArgs),
    /// See whether messages arrive
    #[command(subcommand, after_help = notify::EXAMPLES)]
    Notify(NotifyCommand),
    /// Make a configuration: from a container, from a compose file, or from answers
    #[command(after_help = init::EXAMPLES)]
    Init(Box<InitArgs>),
    /// Check a configuration, compare it with the one in force, or print the commented default or the schema
    #[command(subcommand, after_help = config::EXAMPLES)]
    Config(ConfigCommand),
    /// Bring a changed configuration into force
    #[command(after_help = reload::EXAMPLES)]
    Reload(ReloadArgs),
    /// Tell what the agent would have done over a recorded trace, or over what a Prometheus server has
    #[command(after_help = replay::EXAMPLES)]
    Replay(ReplayArgs),
    /// Make the chain data for an image: sync without authority, stop cleanly, remove keys, certify
    #[command(args_conflicts_with_subcommands = true, after_help = bake::EXAMPLES)]
    Bake(BakeArgs),
    /// Copy the chain data, prove a copy, and put it back
    #[command(subcommand, after_help = snapshot::EXAMPLES)]
    Snapshot(SnapshotCommand),
    /// The volume with the keys: what is on it, and putting it there
    #[command(subcommand, after_help = identity::EXAMPLES)]
    Identity(IdentityCommand),
    /// Print the completion script for a shell
    #[command(after_help = completions::EXAMPLES)]
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests;
