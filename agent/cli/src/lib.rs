//! The command `t0rn-agent`: parses the command line, runs one command, prints its output.
//!
//! Decides nothing about a collator, and keeps nothing: a command asks the agent, reads its files, or works on chain data.
//! Only `run` and `bake` supervise a container, by `agent_daemon`.
//!
//! Begin with `args`, which lists the commands, then the file of one command in `commands`.

mod args;
mod commands;
mod dispatch;
mod error;
mod escapes;
#[cfg(any(test, fuzzing))]
#[path = "tests/fuzzing.rs"]
pub mod fuzzing;
mod globals;
mod output;

pub use self::args::Cli;
pub use self::error::exit_code;
