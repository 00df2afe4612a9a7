//! The binary: parses the command line, sets up the log, runs the command, prints its error.

mod journal;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use agent_daemon::recorder::redacted;
use agent_files::printable;
use clap::Parser;
use t0rn_agent::{Cli, exit_code};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::journal::JournalLayer;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            print_usage(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    log_to_stderr(cli.is_agent());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| {
        let done = runtime.block_on(cli.execute(&mut io::stdout().lock()));
        // A thread that hangs in a system call must not delay the exit.
        runtime.shutdown_timeout(Duration::from_secs(1));
        done
    });
    let code = done.unwrap_or_else(|error| {
        let code = exit_code(&error);
        let mut stderr = io::stderr().lock();
        for line in format!("{error:#}").lines().filter(|_| code != 0) {
            // It may quote a file's name, or a line of the node's log.
            let _ = writeln!(stderr, "error: {}", printable(line));
        }
        code
    });
    ExitCode::from(code)
}

/// Prints clap's message: what it repeats of the command line without the secrets that URLs may hold.
fn print_usage(error: &clap::Error) {
    let text = error.render().to_string();
    let clean = redacted(&text, &[]);
    // A closed output is no reason for another error.
    let _ = if error.use_stderr() && clean != text {
        io::stderr().write_all(clean.as_bytes())
    } else {
        error.print()
    };
}

/// Logs to standard error at the level of `T0RN_AGENT_LOG`, else `RUST_LOG`, else that of an agent or of a command; in the
/// journal without timestamps, which it has itself, and an agent with fields.
fn log_to_stderr(is_agent: bool) {
    let default = if is_agent { LevelFilter::INFO } else { LevelFilter::WARN };
    // The journal asks the kernel for the unit of a datagram's sender, which a short command may not live to see.
    let journal = is_agent.then(JournalLayer::detect).flatten();
    let filter = ["T0RN_AGENT_LOG", "RUST_LOG"].into_iter().find_map(|name| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
        Some((name, value))
    });
    let usual = || Targets::new().with_default(default);
    let (filter, fault) = match filter.map(|(name, value)| (name, value.parse::<Targets>())) {
        None => (usual(), None),
        Some((_, Ok(filter))) => (filter, None),
        Some((name, Err(error))) => (usual(), Some((name, error))),
    };
    let log = fmt::layer().with_writer(io::stderr).with_ansi(false);
    let registry = tracing_subscriber::registry().with(filter);
    if let Some(journal) = journal {
        registry.with(journal).init();
    } else if !is_agent {
        registry.with(log.without_time().with_target(false)).init();
    } else if std::env::var_os("JOURNAL_STREAM").is_some() {
        registry.with(log.without_time()).init();
    } else {
        registry.with(log).init();
    }
    if let Some((variable, error)) = fault {
        tracing::warn!(variable, %error, using = %default, "log level not understood, write for instance: debug");
    }
}
