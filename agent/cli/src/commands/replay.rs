//! `replay`: what the agent would have done over a trace, in virtual time.
//!
//! A replay is open loop: after an action the trace goes on as recorded, so the core learns at once that its action is
//! done. A recording of the agent itself also holds that agent's actions and their outcomes. Where the replayed core acts
//! the same, it gets the recorded outcome; the effects of other recorded actions are hidden from it, as it would take them
//! for outside interference with the container.

mod args;
mod player;
mod prometheus;
mod timeline;
mod trace;

use std::io::Write;
use std::path::Path;

use agent_config::Config;

pub(crate) use self::args::ReplayArgs;
#[cfg(any(test, fuzzing))]
pub(crate) use self::prometheus::scrape_times;
#[cfg(any(test, fuzzing))]
pub(crate) use self::trace::play;
use crate::globals::GlobalArgs;

pub(crate) const EXAMPLES: &str = "\
Without --config the default windows hold, and from a reload on those that the agent recorded.

Examples:
  t0rn-agent replay /var/lib/t0rn-agent/flight
  t0rn-agent replay trace.jsonl --config ./agent.toml --json
  zcat trace.jsonl.gz | t0rn-agent replay -
  t0rn-agent replay --from-prometheus http://127.0.0.1:9090 --since 30d
  t0rn-agent replay --from-prometheus http://127.0.0.1:9090 --instance collator-1";

pub(crate) async fn execute(args: &ReplayArgs, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = globals.named_config().map(Config::load).transpose()?;
    if let Some(server) = &args.history.from_prometheus {
        return prometheus::replay_history(server, &args.history, config.as_ref(), args.json, out).await;
    }
    let trace = args.trace.as_deref().unwrap_or(Path::new("-"));
    trace::replay_trace(trace, config.as_ref(), args.json, out)
}
