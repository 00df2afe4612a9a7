//! `update`: asks the agent for another image, and with `--wait` follows the update to its end.

use std::io::Write;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use agent_config::parse_image;
use agent_core::event::Command;
use agent_core::machine::Phase;
use agent_core::status::UpdateStatus;
use agent_core::units::rounded_duration;

use super::control::send_command;
use crate::globals::GlobalArgs;
use crate::output::{JsonArg, print, print_json};

pub(crate) const EXAMPLES: &str = "\
The image is pulled first; then the collator is stopped cleanly and started from it, and watched for
`update.probation`. An image that fails is taken back, unless it has changed the database already.
Exit codes with --wait: 0 it runs, 1 it does not.

Examples:
  t0rn-agent update --image 3h4xx/t0rn-collator:v1.2.0-rc.5
  t0rn-agent update --image 3h4xx/t0rn-collator:v1.2.0-rc.5 --wait";

const STATUS_TIMEOUT: Duration = Duration::from_secs(9);
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the agent may be unreachable: one that is restarted resumes the update.
const MAX_UNREACHABLE: Duration = Duration::from_mins(1);
/// Longer than any pull and probation.
const MAX_WAIT: Duration = Duration::from_hours(24);

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// NAME:TAG or NAME@sha256:…
    #[arg(long, value_name = "REF", value_parser = parse_image)]
    image: String,
    /// Until it is over, with a line for each step
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    format: JsonArg,
}

/// One line of `--wait --json`: a step that began, or the end.
#[derive(Serialize)]
struct ProgressDocument<'a> {
    schema: u32,
    step: Option<&'a str>,
    ends_in_seconds: Option<u64>,
    result: Option<&'a str>,
    reason: Option<&'a str>,
}

/// Returns 0 when the collator runs the image, or without `--wait`; 1 when it does not.
///
/// Fails when the agent declines, or is unreachable for a minute.
pub(crate) async fn execute(args: &UpdateArgs, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let command = Command::Update {
        image: args.image.clone(),
        automatic: false,
    };
    send_command(globals, command, args.format, out).await?;
    if !args.wait {
        return Ok(0);
    }
    let (client, began) = (globals.client(), Instant::now());
    let (mut reached, mut step, mut waits) = (began, None, false);
    while began.elapsed() < MAX_WAIT {
        match client.status(STATUS_TIMEOUT).await {
            Ok(status) => {
                reached = Instant::now();
                let reason = status.reasons.into_iter().next().unwrap_or(status.summary);
                let Some(update) = status.update else {
                    bail!("the agent knows of no update any more: see t0rn-agent status");
                };
                if let Some(result) = &update.result {
                    print_progress(&update, describe_result(result, &update), args.format, out)?;
                    if result == "held" && !args.format.json {
                        print(out, &format!("{reason}\n"))?;
                    }
                    let good = matches!(result.as_str(), "done" | "not_proven" | "unchanged");
                    return Ok(u8::from(!good));
                }
                let down = matches!(status.phase, Some(Phase::Stopped | Phase::Holding));
                if down && !waits && !args.format.json {
                    print(out, &format!("the update waits: {reason}\n"))?;
                }
                waits = down;
                if update.step != step {
                    print_progress(&update, describe_step(&update), args.format, out)?;
                    step = update.step;
                }
            }
            Err(error) if error.is_unreachable() && reached.elapsed() < MAX_UNREACHABLE => {}
            Err(error) => return Err(error.into()),
        }
        sleep(INTERVAL).await;
    }
    bail!("the update is not over after a day: see t0rn-agent status");
}

fn print_progress(update: &UpdateStatus, sentence: String, format: JsonArg, out: &mut dyn Write) -> anyhow::Result<()> {
    if !format.json {
        return print(out, &(sentence + "\n"));
    }
    let document = ProgressDocument {
        schema: 1,
        step: update.step.as_deref(),
        ends_in_seconds: update.ends_in_seconds,
        result: update.result.as_deref(),
        reason: update.reason.as_deref(),
    };
    print_json(out, &document)
}

fn describe_step(update: &UpdateStatus) -> String {
    let step = update.step.as_deref().unwrap_or("?").replace('_', " ");
    let left = update.ends_in_seconds.map(|s| format!(", {}", rounded_duration(s)));
    let reason = update.reason.as_ref().map(|reason| format!(": {reason}"));
    format!("{step}{}{}", left.unwrap_or_default(), reason.unwrap_or_default())
}

fn describe_result(result: &str, update: &UpdateStatus) -> String {
    let result = result.replace('_', " ");
    match &update.reason {
        Some(reason) => format!("{result}: {reason}"),
        None => result,
    }
}
