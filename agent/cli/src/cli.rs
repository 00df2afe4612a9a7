//! The command line: what can be asked, and where the answers come from.

mod bake;
mod files;
mod history;
mod identity;
mod live;
mod snapshot;
mod status;
#[cfg(test)]
mod tests;
mod update;

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use tracing::warn;

use crate::{check, replay};
use agent_config::{self, Config, ConfigError};
use agent_core::event::Command;
use agent_core::notification::Message;
use agent_daemon::api::{Client, ClientError, PAUSE_MAX, REASON_MAX, TAIL_MAX};
use agent_daemon::host::Host;
use agent_daemon::notify::{self, Undelivered};
use agent_daemon::supervisor;
use agent_docker::Docker;

const CONFIG: &str = "/etc/t0rn-agent/agent.toml";
const SOCKET: &str = "/run/t0rn-agent/agent.sock";
const STATE_DIR: &str = "/var/lib/t0rn-agent";

/// Keeps one Polkadot-SDK collator container running and making progress.
#[derive(Debug, Parser)]
#[command(name = "t0rn-agent", version, arg_required_else_help = true, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// Configuration [default: /etc/t0rn-agent/agent.toml]
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        value_name = "FILE",
        env = "T0RN_AGENT_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
    /// The agent's socket [default: as configured]
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        value_name = "PATH",
        env = "T0RN_AGENT_SOCKET",
        hide_env_values = true
    )]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Subcommands,
}

const GLOBAL: &str = "Global options";

const EXAMPLES: &str = "\
Examples:
  t0rn-agent config check                          is the configuration sound?
  t0rn-agent run                                   the agent itself, usually as a systemd service
  t0rn-agent status                                how is the collator?
  t0rn-agent pause --for 2h --reason \"new volume\"  hands off for two hours

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 agent unreachable.
`status`: 0 ok, 1 degraded, 2 critical, 3 unknown or agent unreachable.";

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Run the agent: pull the image, keep the collator running and in sync
    #[command(after_help = "\
Ctrl-C or SIGTERM ends the agent and leaves the collator running.

Examples:
  t0rn-agent run
  t0rn-agent run --config ./agent.toml --socket ./agent.sock
  T0RN_AGENT_LOG=debug t0rn-agent run")]
    Run,
    /// Make the data directory for the collator's user, where it is missing
    #[command(after_help = "\
Needs root. The service does it before each start, because the agent itself may not.

Example:
  t0rn-agent prepare")]
    Prepare,
    /// Say how the collator is
    #[command(after_help = "\
Exit codes: 0 ok, 1 degraded, 2 critical, 3 unknown or agent unreachable.
With no agent to ask, it shows what Docker still knows.

Examples:
  t0rn-agent status
  t0rn-agent status --watch
  t0rn-agent status --json | jq .chains.parachain.best")]
    Status {
        /// For programs: one line of JSON, at most 2,500 characters
        #[arg(long)]
        json: bool,
        /// Again every 2 seconds, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Show the collator's log
    #[command(after_help = "\
Examples:
  t0rn-agent logs -n 500 | grep -i error
  t0rn-agent logs -f")]
    Logs {
        /// Go on until Ctrl-C, or until the container is gone
        #[arg(short, long)]
        follow: bool,
        /// Begin this many lines before the end
        #[arg(short = 'n', long, value_name = "N", default_value_t = 100,
            value_parser = clap::value_parser!(u32).range(..=i64::from(TAIL_MAX)))]
        lines: u32,
    },
    /// Stop the collator cleanly and start it again
    #[command(after_help = "\
Does not count against the restart budget.

Example:
  t0rn-agent restart --reason \"new node key\"")]
    Restart {
        /// Why, for the record
        #[arg(long, value_name = "TEXT", default_value = "asked by the operator", value_parser = reason)]
        reason: String,
    },
    /// Stop the collator; it stays stopped, over restarts of agent and host, until `start`
    #[command(after_help = "Example:\n  t0rn-agent stop")]
    Stop,
    /// Start the collator again after `stop`, or after a hold once its cause is cured
    #[command(after_help = "Example:\n  t0rn-agent start")]
    Start,
    /// Suspend all automatic actions for a while; watching goes on
    #[command(after_help = "\
Examples:
  t0rn-agent pause --for 2h --reason \"moving the volume\"
  t0rn-agent pause --for 1h30m --reason \"node upgrade\"")]
    Pause {
        /// For how long: 90s, 45m, 1h30m, 2d; at most 30d
        #[arg(long = "for", value_name = "TIME", value_parser = pause_time)]
        time: Duration,
        /// Why; shown in the status
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
    /// End a pause, and let the agent try again what it had given up
    #[command(after_help = "Example:\n  t0rn-agent resume")]
    Resume,
    /// Run another image of the collator, and take it back when it does no good
    #[command(after_help = "\
The image is pulled first; then the collator is stopped cleanly and started from it, and watched for
`update.probation`. An image that fails is taken back, unless it has changed the database already.
Exit codes with --wait: 0 it runs, 1 it does not.

Examples:
  t0rn-agent update --image 3h4xx/t0rn-collator:v1.2.0-rc.5
  t0rn-agent update --image 3h4xx/t0rn-collator:v1.2.0-rc.5 --wait")]
    Update {
        /// NAME:TAG or NAME@sha256:…
        #[arg(long, value_name = "REF", value_parser = image)]
        image: String,
        /// Until it is over, with a line for each step
        #[arg(long)]
        wait: bool,
    },
    /// What the agent did, why, and whether it helped
    #[command(after_help = "\
Examples:
  t0rn-agent incidents
  t0rn-agent incidents show 20261122T225000Z-stalled
  t0rn-agent incidents list --json | jq '.[] | select(.helped == false)'")]
    Incidents {
        /// For programs
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        which: Option<Incidents>,
    },
    /// Look at everything that makes a collator fail, before or while it runs
    #[command(after_help = "\
Docker, image, container, ports, exporters, data directory, disk, keystore, memory, clock and
network: each says PASS, WARN, FAIL or SKIP (cannot be told here), and what to do. Changes nothing.
Exit code 1 when something fails.

Examples:
  t0rn-agent check
  t0rn-agent check --config ./agent.toml
  t0rn-agent check --json | jq '.checks[] | select(.result != \"pass\")'")]
    Check {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// See whether messages arrive
    #[command(after_help = "\
Exit codes: 0 the webhook took the message, 1 it did not, 2 none is configured.

Example:
  t0rn-agent notify test")]
    Notify {
        #[command(subcommand)]
        what: NotifyWhat,
    },
    /// Check a configuration, or print the commented default
    #[command(after_help = "\
Examples:
  t0rn-agent config default > /etc/t0rn-agent/agent.toml
  t0rn-agent config check ./agent.toml")]
    Config {
        #[command(subcommand)]
        what: ConfigWhat,
    },
    /// Tell what the agent would have done over a recorded trace, or over what a Prometheus server has
    #[command(after_help = "\
Without --config the default windows hold.

Examples:
  t0rn-agent replay /var/lib/t0rn-agent/flight
  t0rn-agent replay trace.jsonl --config ./agent.toml --json
  zcat trace.jsonl.gz | t0rn-agent replay -
  t0rn-agent replay --from-prometheus http://127.0.0.1:9090 --since 30d
  t0rn-agent replay --from-prometheus http://127.0.0.1:9090 --instance collator-1")]
    Replay {
        /// A trace, plain or gzip; a folder of the flight recorder; or - for standard input
        #[arg(
            value_name = "TRACE",
            required_unless_present = "from_prometheus",
            conflicts_with = "from_prometheus"
        )]
        trace: Option<PathBuf>,
        /// For programs: one JSON object a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        history: Box<history::History>,
    },
    /// Make the chain data for an image: sync without authority, stop cleanly, remove keys, certify
    #[command(args_conflicts_with_subcommands = true, after_help = bake::EXAMPLES)]
    Bake(bake::Bake),
    /// Copy the chain data, prove a copy, and put it back
    #[command(after_help = snapshot::EXAMPLES)]
    Snapshot {
        #[command(subcommand)]
        what: snapshot::Snapshot,
    },
    /// The volume with the keys: what is on it, and putting it there
    #[command(after_help = identity::EXAMPLES)]
    Identity {
        #[command(subcommand)]
        what: identity::Identity,
    },
    /// Print the completion script for a shell
    #[command(after_help = "\
Example:
  t0rn-agent completions bash > /usr/share/bash-completion/completions/t0rn-agent")]
    Completions {
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
enum Incidents {
    /// All that are kept, newest first
    List,
    /// One of them, as text to paste into a bug report
    Show {
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigWhat {
    /// Exit 0 when it can be used; otherwise 2, with file, line, key and remedy of every problem
    Check {
        /// The file to check [default: as for --config]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print every key with its default and what it is for
    Default,
}

#[derive(Debug, Subcommand)]
enum NotifyWhat {
    /// Send a test message to the configured webhook, once, and say what came of it
    Test,
}

/// Whoever read the output has gone: no fault of ours, and nothing more to do.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output")]
struct Closed;

impl Cli {
    /// Whether this does the agent's own work, so that its log is what people look at.
    pub fn is_agent(&self) -> bool {
        match self.command {
            Subcommands::Run => true,
            // Whoever watches a terminal sees the line of progress.
            Subcommands::Bake(ref bake) => bake.is_logged(),
            _ => false,
        }
    }

    /// Does what was asked; all output that was asked for goes to `out`. Returns the exit code.
    ///
    /// [`exit_code`] tells the exit code of an error.
    pub async fn execute(self, out: &mut dyn Write) -> anyhow::Result<u8> {
        match &self.command {
            Subcommands::Run => {
                supervisor::run(self.load_for_agent()?).await?;
            }
            Subcommands::Prepare => Docker::new(&self.load()?)?.prepare_paths().await?,
            Subcommands::Status { json, watch } => return self.status(*json, *watch, out).await,
            Subcommands::Logs { follow, lines } => self.logs(*follow, *lines, out).await?,
            Subcommands::Restart { reason } => {
                self.tell(Command::Restart { reason: reason.clone() }, out).await?;
            }
            Subcommands::Stop => self.tell(Command::Stop, out).await?,
            Subcommands::Start => self.tell(Command::Start, out).await?,
            Subcommands::Pause { time, reason } => {
                let command = Command::Pause {
                    seconds: time.as_secs(),
                    reason: reason.clone(),
                };
                self.tell(command, out).await?;
            }
            Subcommands::Resume => self.tell(Command::Resume, out).await?,
            Subcommands::Update { image, wait } => return self.update(image, *wait, out).await,
            Subcommands::Check { json } => {
                let report = check::run(&self.load_for_agent()?).await;
                let text = if *json {
                    serde_json::to_string(&report)? + "\n"
                } else {
                    report.render()
                };
                print(out, &text)?;
                return Ok(report.exit_code());
            }
            Subcommands::Notify { what: NotifyWhat::Test } => {
                let config = self.load()?;
                let message = Message::test(jiff::Timestamp::now(), Host::name(), config.collator.container);
                notify::send_now(&config.notify, message).await?;
                print(out, "the webhook took the message\n")?;
            }
            Subcommands::Incidents { json, which } => match which {
                None | Some(Incidents::List) => self.list_incidents(*json, out)?,
                Some(Incidents::Show { id }) => self.show_incident(id, *json, out)?,
            },
            Subcommands::Config {
                what: ConfigWhat::Check { file },
            } => {
                let path = given(file.as_ref()).unwrap_or_else(|| self.config_path());
                Config::load(path)?;
                print(out, &format!("{}: ok\n", path.display()))?;
            }
            Subcommands::Config {
                what: ConfigWhat::Default,
            } => print(out, agent_config::DEFAULT)?,
            Subcommands::Replay { trace, json, history } => {
                let config = given(self.config.as_ref()).map(Config::load).transpose()?;
                match (trace, history.source()) {
                    (_, Some(source)) => replay::prometheus::run(&source, config.as_ref(), *json, out).await?,
                    (trace, None) => {
                        let trace = trace.as_deref().unwrap_or(Path::new("-"));
                        replay::run(trace, config.as_ref(), *json, out)?
                    }
                };
            }
            Subcommands::Bake(bake) => return bake.execute(|| self.load(), out).await,
            Subcommands::Snapshot { what } => return Box::pin(self.snapshot(what, out)).await,
            Subcommands::Identity { what } => what.execute(&self.load_for_agent()?, out).await?,
            Subcommands::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut Self::command(), "t0rn-agent", &mut script);
                write(out, &script)?;
            }
        }
        Ok(0)
    }

    fn config_path(&self) -> &Path {
        given(self.config.as_ref()).unwrap_or(Path::new(CONFIG))
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.config_path())
    }

    /// The configuration as the agent takes it: with the socket that was named.
    fn load_for_agent(&self) -> Result<Config, ConfigError> {
        let mut config = self.load()?;
        if let Some(socket) = given(self.socket.as_ref()) {
            socket.clone_into(&mut config.agent.socket);
        }
        Ok(config)
    }

    /// The client for the socket that was named, else for the configured one, else for the default one: a
    /// configuration that cannot be read must not keep anybody from talking to the agent.
    fn client(&self) -> Client {
        if let Some(socket) = given(self.socket.as_ref()) {
            return Client::new(socket);
        }
        Client::new(self.load().map_or_else(
            |error| {
                self.warn_of(&error, SOCKET);
                PathBuf::from(SOCKET)
            },
            |config| config.agent.socket,
        ))
    }

    /// A file that nobody named and that is not there, or not for this user, is no news.
    fn warn_of(&self, error: &ConfigError, instead: &str) {
        if given(self.config.as_ref()).is_some() || std::fs::File::open(self.config_path()).is_ok() {
            let text = error.to_string();
            let problem = text.lines().next().unwrap_or_default();
            warn!(
                problem,
                using = instead,
                "configuration not usable, see: t0rn-agent config check"
            );
        }
    }
}

/// The exit code of an error, and whether it is to be told: 0 when nobody reads the output any more,
/// 2 configuration or none of what is needed, 3 no agent to talk to, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<Closed>() {
        0
    } else if error.chain().any(<dyn Error>::is::<ConfigError>)
        || error.is::<bake::Misused>()
        || error.is::<snapshot::Unusable>()
        || matches!(error.downcast_ref(), Some(Undelivered::NotConfigured))
    {
        2
    } else if error
        .chain()
        .any(|e| e.downcast_ref().is_some_and(ClientError::is_unreachable))
    {
        3
    } else {
        1
    }
}

/// A path that was given; an empty variable of the environment gives none.
fn given(path: Option<&PathBuf>) -> Option<&Path> {
    path.map(PathBuf::as_path).filter(|p| !p.as_os_str().is_empty())
}

fn print(out: &mut dyn Write, text: &str) -> anyhow::Result<()> {
    write(out, text.as_bytes())
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> anyhow::Result<()> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Closed.into()),
        Err(error) => Err(anyhow::Error::new(error).context("cannot write the output")),
        Ok(()) => Ok(()),
    }
}

fn pause_time(text: &str) -> Result<Duration, String> {
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let time = text.parse::<jiff::Span>().and_then(|span| span.to_duration(days));
    let time = time.ok().and_then(|time| Duration::try_from(time).ok());
    time.filter(|t| (Duration::from_secs(1)..=PAUSE_MAX).contains(t))
        .ok_or_else(|| "give a time from 1s to 30d, such as 45m, 2h or 1h30m".to_owned())
}

fn image(text: &str) -> Result<String, String> {
    agent_config::parse_image(text).map_err(|invalid| format!("{}; {}", invalid.found, invalid.remedy))
}

fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say why in a few words".to_owned()),
        text if text.chars().count() > REASON_MAX => Err(format!("at most {REASON_MAX} characters")),
        text => Ok(text.to_owned()),
    }
}
