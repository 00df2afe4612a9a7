//! What can be asked of the simulated collator at run time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Chain;

/// A command and when it is due.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduledCommand {
    pub command: Command,
    pub after: Duration,
    /// Only at the first start on a directory.
    pub once: bool,
}

impl ScheduledCommand {
    /// Reads a JSON object, or the bare name of a command whose fields all have defaults.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mut value = if text.starts_with('{') {
            serde_json::from_str(text).map_err(|e| e.to_string())?
        } else {
            serde_json::json!({ "do": text })
        };
        let mut take = |key: &str| value.as_object_mut().and_then(|o| o.remove(key)).unwrap_or(Value::Null);
        let seconds = take("after_seconds").as_f64().unwrap_or(0.0);
        let once = take("once").as_bool().unwrap_or(false);
        Ok(Self {
            command: serde_json::from_value(value).map_err(|e| e.to_string())?,
            after: Duration::try_from_secs_f64(seconds).map_err(|e| format!("after_seconds: {e}"))?,
            once,
        })
    }
}

/// See the [module documentation](super) for what each does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    Crash {
        #[serde(default = "one")]
        code: i32,
        #[serde(default)]
        log: Vec<String>,
    },
    Freeze {
        #[serde(default)]
        mode: Silence,
    },
    Stall {
        #[serde(default = "parachain")]
        chain: Chain,
        #[serde(default)]
        cure: Cure,
        /// Traffic while stalled; the real node's block announcements are about 3 KiB/s.
        #[serde(default = "announcements")]
        bytes_per_second: f64,
    },
    Isolate {
        #[serde(default)]
        cure: Cure,
    },
    Halt {
        #[serde(default = "parachain")]
        chain: Chain,
    },
    Exporter {
        chain: Chain,
        answer: Answer,
    },
    Log {
        #[serde(default)]
        lines: Vec<String>,
        /// Length of one further line; 0 writes none.
        #[serde(default)]
        bytes: usize,
    },
    Sigterm {
        obey: bool,
    },
    Eat {
        #[serde(default = "two_hundred_megabytes")]
        bytes_per_second: usize,
    },
    Burn {
        percent: u8,
    },
    FailStarts(FailStarts),
    Set(Set),
    Recover,
}

impl Command {
    /// An end without last words.
    pub fn crash(code: i32) -> Self {
        Self::Crash { code, log: Vec::new() }
    }
}

/// How an exporter is silent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// Connections are accepted and never answered.
    #[default]
    Hang,
    /// Nothing listens.
    Refuse,
}

/// Whether a fault survives a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cure {
    #[default]
    Restart,
    Never,
}

/// How one exporter answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    #[default]
    Ok,
    Refuse,
    Hang,
    /// Closes the connection without an answer.
    Reset,
    /// A page that never ends, a line every 200 ms.
    Drip,
    /// Status 200 and bytes that are no text.
    Garbage,
    /// Announces the whole page, sends half of it and closes.
    Truncated,
    /// A well-formed answer with only the first half of the page, cut within a line.
    Cut,
    /// A page without any metric.
    Empty,
    Slow {
        delay_ms: u64,
    },
    Status {
        code: u16,
    },
    Huge {
        bytes: u64,
        /// Without them the page is one line.
        #[serde(default = "yes")]
        newlines: bool,
    },
}

/// Starts that end at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailStarts {
    /// How many; `None` is every one.
    #[serde(default)]
    pub count: Option<u32>,
    #[serde(default = "one")]
    pub code: i32,
    #[serde(default)]
    pub log: Vec<String>,
}

/// New values for the model; `None` leaves one as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Set {
    /// The chain that the next four are about; both when absent.
    pub chain: Option<Chain>,
    pub speed: Option<f64>,
    pub target: Option<u64>,
    pub block_time_ms: Option<u64>,
    pub target_bias: Option<i64>,
    pub peers: Option<u64>,
    pub stop_delay_ms: Option<u64>,
    pub collates: Option<bool>,
}

fn one() -> i32 {
    1
}

fn yes() -> bool {
    true
}

fn parachain() -> Chain {
    Chain::Parachain
}

fn announcements() -> f64 {
    3072.0
}

fn two_hundred_megabytes() -> usize {
    200_000_000
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn names_and_objects_mean_the_same() {
        assert_eq!(
            ScheduledCommand::parse("halt").unwrap(),
            ScheduledCommand::parse(r#"{"do":"halt","chain":"parachain"}"#).unwrap()
        );
    }

    #[test]
    fn every_command_reads_back_what_it_writes() {
        let commands = [
            Command::Exporter {
                chain: Chain::Relaychain,
                answer: Answer::Huge {
                    bytes: 100,
                    newlines: false,
                },
            },
            Command::Exporter {
                chain: Chain::Parachain,
                answer: Answer::Status { code: 500 },
            },
            Command::Exporter {
                chain: Chain::Parachain,
                answer: Answer::Refuse,
            },
            Command::FailStarts(FailStarts {
                count: None,
                code: 1,
                log: vec!["DB corrupted: Corruption: x".to_owned()],
            }),
            Command::Set(Set {
                speed: Some(1.5),
                ..Set::default()
            }),
            Command::Recover,
        ];
        for command in commands {
            let text = serde_json::to_string(&command).unwrap();
            assert_eq!(ScheduledCommand::parse(&text).unwrap().command, command, "{text}");
        }
    }

    #[test]
    fn delay_and_once_are_taken_from_any_command() {
        let order = ScheduledCommand::parse(r#"{"do":"freeze","after_seconds":1.5,"once":true}"#).unwrap();
        assert_eq!((order.after, order.once), (Duration::from_millis(1500), true));
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(ScheduledCommand::parse(r#"{"do":"stall","cures":"never"}"#).is_err());
        assert!(ScheduledCommand::parse(r#"{"do":"freeze","after_seconds":-1}"#).is_err());
    }
}
