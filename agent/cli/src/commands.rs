//! The commands: one file each, with its arguments and what it does.

pub(crate) mod bake;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod identity;
pub(crate) mod incidents;
pub(crate) mod init;
pub(crate) mod logs;
mod node_command;
pub(crate) mod notify;
mod quiesce;
pub(crate) mod reload;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod takeover;
pub(crate) mod update;

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::ArgumentError;

/// A time on the command line within `allowed`, else `remedy`.
fn parse_time(text: &str, allowed: RangeInclusive<Duration>, remedy: &str) -> Result<Duration, ArgumentError> {
    let time = agent_config::parse_duration(text).ok();
    time.filter(|time| allowed.contains(time))
        .ok_or_else(|| ArgumentError(remedy.to_owned()))
}
