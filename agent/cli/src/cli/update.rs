//! `update`: hands the wish over, and watches what becomes of it when that is asked for.

use std::io::Write;
use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, sleep};

use super::{Cli, print};
use agent_core::event::Command;
use agent_core::machine::Phase;
use agent_core::status::{Update, duration};

const PATIENCE: Duration = Duration::from_secs(9);
const INTERVAL: Duration = Duration::from_secs(1);
/// An agent that is restarted in between goes on with the update.
const AWAY: Duration = Duration::from_mins(1);
/// Longer than any pull and probation that anybody waits for.
const LIMIT: Duration = Duration::from_hours(24);

impl Cli {
    /// Returns 0 when the collator runs what was asked for, or when nobody waits for that; 1 when it does not.
    ///
    /// Fails when the agent declines, or is gone for a minute.
    pub(super) async fn update(&self, image: &str, wait: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
        let image = image.to_owned();
        self.tell(
            Command::Update {
                image,
                automatic: false,
            },
            out,
        )
        .await?;
        if !wait {
            return Ok(0);
        }
        let (client, began) = (self.client(), Instant::now());
        let (mut heard, mut step, mut waits) = (began, None, false);
        while began.elapsed() < LIMIT {
            match client.status(PATIENCE).await {
                Ok(status) => {
                    heard = Instant::now();
                    let reason = status.reasons.into_iter().next().unwrap_or(status.summary);
                    let Some(update) = status.update else {
                        bail!("the agent knows of no update any more: see t0rn-agent status");
                    };
                    if let Some(result) = &update.result {
                        print(out, &format!("{}\n", ending(result, &update)))?;
                        if result == "held" {
                            print(out, &format!("{reason}\n"))?;
                        }
                        let good = matches!(result.as_str(), "done" | "not_proven" | "unchanged");
                        return Ok(u8::from(!good));
                    }
                    let down = matches!(status.phase, Some(Phase::Stopped | Phase::Holding));
                    if down && !waits {
                        print(out, &format!("the update waits: {reason}\n"))?;
                    }
                    waits = down;
                    if update.step != step {
                        print(out, &format!("{}\n", progress(&update)))?;
                        step = update.step;
                    }
                }
                Err(error) if error.is_unreachable() && heard.elapsed() < AWAY => {}
                Err(error) => return Err(error.into()),
            }
            sleep(INTERVAL).await;
        }
        bail!("the update is not over after a day: see t0rn-agent status");
    }
}

fn progress(update: &Update) -> String {
    let step = update.step.as_deref().unwrap_or("?").replace('_', " ");
    let left = update.ends_in_seconds.map(|s| format!(", {}", duration(s)));
    let reason = update.reason.as_ref().map(|reason| format!(": {reason}"));
    format!("{step}{}{}", left.unwrap_or_default(), reason.unwrap_or_default())
}

fn ending(result: &str, update: &Update) -> String {
    let result = result.replace('_', " ");
    match &update.reason {
        Some(reason) => format!("{result}: {reason}"),
        None => result,
    }
}
