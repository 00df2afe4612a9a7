//! `restart`, `stop`, `start`, `pause`, `resume`: commands to a running agent.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use agent_core::event::Command;
use agent_daemon::api::{PAUSE_MAX, REASON_MAX};

use super::parse_time;
use super::quiesce::operator_took_over;
use crate::error::ArgumentError;
use crate::globals::GlobalArgs;
use crate::output::{JsonArg, print, print_json};

pub(crate) const RESTART_EXAMPLES: &str = "\
Does not count against the restart budget.

Example:
  t0rn-agent restart --reason \"new node key\"";

pub(crate) const PAUSE_EXAMPLES: &str = "\
Examples:
  t0rn-agent pause --for 2h --reason \"moving the volume\"
  t0rn-agent pause --for 1h30m --reason \"node upgrade\"";

#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "asked by the operator", value_parser = parse_reason)]
    reason: String,
    #[command(flatten)]
    pub(crate) format: JsonArg,
}

impl RestartArgs {
    pub(crate) fn command(&self) -> Command {
        let reason = self.reason.clone();
        Command::Restart { reason }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// For how long: 90s, 45m, 1h30m, 2d; at most 30d
    #[arg(long = "for", value_name = "TIME", value_parser = parse_pause)]
    time: Duration,
    /// Why; shown in the status
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
    #[command(flatten)]
    pub(crate) format: JsonArg,
}

impl PauseArgs {
    pub(crate) fn command(&self) -> Command {
        Command::Pause {
            seconds: self.time.as_secs(),
            reason: self.reason.clone(),
        }
    }
}

/// What the agent replies to a command.
#[derive(Serialize)]
struct ReplyDocument<'a> {
    schema: u32,
    reply: &'a str,
}

pub(crate) async fn send_command(
    globals: &GlobalArgs,
    command: Command,
    format: JsonArg,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let answer = globals.client().command(&command).await?;
    if let (Command::Restart { .. } | Command::Stop { .. } | Command::Start { .. }, Ok(config)) =
        (&command, globals.load_config())
    {
        operator_took_over(&config);
    }
    let reply = answer.trim_end();
    if format.json {
        print_json(out, &ReplyDocument { schema: 1, reply })
    } else {
        print(out, &format!("{reply}\n"))
    }
}

fn parse_pause(text: &str) -> Result<Duration, ArgumentError> {
    let allowed = Duration::from_secs(1)..=PAUSE_MAX;
    parse_time(text, allowed, "give a time from 1s to 30d, such as 45m, 2h or 1h30m")
}

fn parse_reason(text: &str) -> Result<String, ArgumentError> {
    match text.trim() {
        "" => Err(ArgumentError("say why in a few words".to_owned())),
        text if text.chars().count() > REASON_MAX => Err(ArgumentError(format!("at most {REASON_MAX} characters"))),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_accepts_times_with_units_within_bounds() {
        let seconds = |text| parse_pause(text).map(|t| t.as_secs()).ok();
        assert_eq!(
            ["90s", "45m", "1h30m", "2h", "2d", "30d"].map(seconds),
            [90, 2_700, 5_400, 7_200, 172_800, 2_592_000].map(Some)
        );
        assert_eq!(
            [
                "",
                "2",
                "0s",
                "-2h",
                "31d",
                "2y",
                "soon",
                "500ms",
                "99999999999999999999h"
            ]
            .map(seconds),
            [None; 9]
        );
    }

    #[test]
    fn reason_is_required_and_bounded() {
        assert!(parse_reason(" ").is_err());
        let long = "x".repeat(REASON_MAX + 1);
        assert!(parse_reason(&long).is_err());
        assert!(parse_reason(&long[1..]).is_ok());
    }
}
