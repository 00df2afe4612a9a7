//! The commands: one file each, with its arguments and what it does.

mod background;
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

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::error::ArgumentError;

/// A whole number on the command line within `allowed`.
fn parse_number<T>(text: &str, allowed: RangeInclusive<T>) -> Result<T, ArgumentError>
where
    T: FromStr + PartialOrd + Display,
{
    let number = text.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| {
        ArgumentError(format!(
            "give a whole number from {} to {}",
            allowed.start(),
            allowed.end()
        ))
    })
}

/// A time on the command line within `allowed`, else `remedy`.
fn parse_time(text: &str, allowed: RangeInclusive<Duration>, remedy: &str) -> Result<Duration, ArgumentError> {
    let time = agent_config::parse_duration(text).ok();
    time.filter(|time| allowed.contains(time))
        .ok_or_else(|| ArgumentError(remedy.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_refused_with_what_may_be_given() {
        assert_eq!(parse_number("3", 0..=5).ok(), Some(3));
        for text in ["", "x", "-1", "6", "1.5"] {
            let refused = parse_number(text, 0_u8..=5).map_err(|error| error.to_string());
            assert_eq!(refused, Err("give a whole number from 0 to 5".to_owned()), "{text}");
        }
    }
}
