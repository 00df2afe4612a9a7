//! `status`: from the agent, or from Docker when no agent answers.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use agent_chaindata::journal::describe_interrupted_restore;
use agent_config::{Config, ConfigError, show_duration};
use agent_core::event::Container;
use agent_core::status::{CollatorStatus, LastExitStatus, RestartStatus, Status};
use agent_daemon::api::ClientError;
use agent_docker::{Docker, Error, Inspection};

use super::quiesce::describe_left_stopped;
use super::takeover::describe_unfinished;
use crate::globals::GlobalArgs;
use crate::output::{OutputClosed, print};

pub(crate) const EXAMPLES: &str = "\
Exit codes: 0 ok, 1 degraded, 2 critical, 3 unknown or agent unreachable.
With no agent to ask, it shows what Docker still knows.

Examples:
  t0rn-agent status
  t0rn-agent status --watch
  t0rn-agent status --json | jq .chains.parachain.best";

/// Timeout of the agent, which answers from memory. With [`DOCKER_TIMEOUT`] less than the 10 s of any command.
const AGENT_TIMEOUT: Duration = Duration::from_secs(5);
const DOCKER_TIMEOUT: Duration = Duration::from_secs(3);
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// On our machine images: why the chain's volume was refused, without which Docker does not start, and that user-data is missing.
const IMAGE_NOTES: [&str; 2] = ["/run/t0rn-chain/refused", "/run/t0rn-user-data/missing"];

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// For programs: one line of JSON, at most 2,500 characters
    #[arg(long)]
    json: bool,
    /// Again every 2 seconds, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// Prints the status; returns the health's exit code, also when the reader of the output has gone.
pub(crate) async fn execute(args: &StatusArgs, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let terminal = io::stdout().is_terminal() && !dumb;
    let client = globals.client();
    loop {
        let mut status = match client.status(AGENT_TIMEOUT).await {
            Ok(status) => status,
            Err(error) => status_from_docker(&error, globals.load_config(), Timestamp::now()).await,
        };
        let notes = IMAGE_NOTES.iter().filter_map(|file| first_line(Path::new(file)));
        status.reasons.splice(0..0, notes);
        if let Ok(config) = globals.load_config() {
            let interrupted = describe_interrupted_restore(&config.data.path, &config.agent.state_dir);
            let left_stopped = describe_left_stopped(&config, &status);
            let takeover = describe_unfinished(&config.agent.state_dir);
            let all = interrupted.into_iter().chain(left_stopped).chain(takeover);
            status.reasons.splice(0..0, all);
        }
        let code = status.health.exit_code();
        let text = if args.json {
            status.to_json() + "\n"
        } else {
            status.render(terminal && !set("NO_COLOR"))
        };
        // In place on a terminal, one after the other in a file.
        let clear = if args.watch && terminal && !args.json {
            "\x1b[H\x1b[2J"
        } else {
            ""
        };
        match print(out, &format!("{clear}{text}")) {
            Err(error) if error.is::<OutputClosed>() => return Ok(code),
            printed => printed?,
        }
        if !args.watch {
            return Ok(code);
        }
        sleep(WATCH_EVERY).await;
    }
}

/// The status without an agent: why there is none, and the container as Docker has it.
async fn status_from_docker(error: &ClientError, config: Result<Config, ConfigError>, now: Timestamp) -> Status {
    let mut status = Status {
        time: now,
        summary: error.to_string(),
        ..Status::default()
    };
    let config = match config {
        Ok(config) => config,
        Err(wrong) => {
            let text = wrong.to_string();
            let first = text.lines().next().unwrap_or_default();
            // It does not explain a file that this user may not read, nor a running agent.
            if wrong.is_about_the_content() && matches!(error, ClientError::Missing(_) | ClientError::Dead(_)) {
                status.reasons.extend(text.lines().map(str::to_owned));
                let summary = format!("the configuration is wrong: {first}");
                let agent = std::mem::replace(&mut status.summary, summary);
                status.reasons.push("then: systemctl restart t0rn-agent".to_owned());
                status.reasons.push(agent);
            } else {
                let reason = format!("Docker was not asked, for want of a configuration: {first}");
                status.reasons.push(reason);
            }
            return status;
        }
    };
    status.collator.container = Some(config.collator.container.clone());
    let asked = timeout(DOCKER_TIMEOUT, async { Docker::new(&config)?.inspect().await }).await;
    let asked: Result<Inspection, Option<Error>> = match asked {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(Some(error)),
        Err(_) => Err(None),
    };
    match asked {
        Ok(found) => {
            status
                .reasons
                .push("the container is shown as Docker has it; it is not watched".to_owned());
            if found.container == Container::Foreign {
                let name = &config.collator.container;
                status
                    .reasons
                    .push(format!("container {name} was not created by t0rn-agent"));
            }
            status.collator = collator_status(found, &config);
        }
        Err(Some(error)) => status.reasons.push(error.to_string()),
        Err(None) => {
            let limit = show_duration(DOCKER_TIMEOUT);
            status
                .reasons
                .push(format!("docker did not answer within {limit} either"));
        }
    }
    status
}

/// The first line of a file; `None` where there is none.
fn first_line(file: &Path) -> Option<String> {
    let mut text = Vec::new();
    File::open(file).ok()?.take(1000).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .next()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
}

fn collator_status(found: Inspection, config: &Config) -> CollatorStatus {
    let mut collator = CollatorStatus {
        container: Some(config.collator.container.clone()),
        state: Some("missing".to_owned()),
        ..CollatorStatus::default()
    };
    if let Some(detail) = found.detail {
        let ended = detail.exit_code.map(|code| LastExitStatus {
            code: Some(code),
            // Docker's flag may be a child's.
            oom: Some(detail.oom && code == 137),
            at: detail.finished_at,
        });
        collator = CollatorStatus {
            image: Some(detail.image),
            digest: detail.digest,
            id: Some(detail.id),
            state: Some(detail.status),
            started_at: detail.started_at,
            restarts: RestartStatus::default(),
            last_exit: ended,
            ..collator
        };
    }
    collator
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;
    use agent_core::status::Health;
    use agent_daemon::engine_stub::{Engine, Log};

    async fn rendered(config: Result<Config, ConfigError>) -> (String, Status) {
        let now = "2026-11-22T22:50:00Z".parse().unwrap();
        let status = status_from_docker(&ClientError::Missing("/run/a.sock".into()), config, now).await;
        assert_eq!(status.health, Health::Unknown);
        (status.render(false), serde_json::from_str(&status.to_json()).unwrap())
    }

    #[tokio::test]
    async fn without_agent_docker_shows_running_container() {
        let engine = Engine::start(Log::Short);
        let (text, status) = rendered(Ok(engine.config)).await;
        assert!(text.starts_with("UNKNOWN: no agent is running (see: systemctl status t0rn-agent): /run/a.sock"));
        assert!(
            text.contains("collator    running for 3h 12m   t0rn-collator   id ab12cd34ef56\n"),
            "{text}"
        );
        assert_eq!(status.collator.image.as_deref(), Some("example/collator:1"));
        assert_eq!((status.phase, status.collator.last_exit), (None, None));
    }

    #[tokio::test]
    async fn without_agent_docker_shows_last_exit() {
        let engine = Engine::start(Log::Exited);
        let (text, status) = rendered(Ok(engine.config)).await;
        assert!(text.contains("last exit 137 (out of memory) 10m ago"), "{text}");
        assert_eq!(status.collator.state.as_deref(), Some("exited"));
    }

    #[tokio::test]
    async fn without_agent_docker_shows_missing_container() {
        let engine = Engine::start(Log::Missing);
        let (text, status) = rendered(Ok(engine.config)).await;
        assert!(text.contains("collator    missing   t0rn-collator"), "{text}");
        assert_eq!(status.collator.id, None);
    }

    #[tokio::test]
    async fn without_agent_and_docker_both_are_named() {
        let mut config = Config::parse("[collator]\nimage = \"x\"", "test").unwrap();
        config.agent.docker = "/nonexistent/docker.sock".into();
        let (text, status) = rendered(Ok(config)).await;
        assert!(
            text.contains("  - docker at /nonexistent/docker.sock does not answer"),
            "{text}"
        );
        assert_eq!(status.collator.state, None);
    }

    #[tokio::test]
    async fn without_agent_wrong_configuration_is_the_reason() {
        let wrong = Config::parse("[collator]\nimage = 5\nports = 5\n", "agent.toml");
        let (text, status) = rendered(wrong).await;
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            "UNKNOWN: the configuration is wrong: agent.toml:2: key `collator.image`: 5 is no string; write it i…"
        );
        // Again, because the first line of the text is cut.
        assert_eq!(
            status.reasons[0],
            "agent.toml:2: key `collator.image`: 5 is no string; write it in quotes"
        );
        assert!(
            status.reasons[1].starts_with("agent.toml:3: key `collator.ports`"),
            "{text}"
        );
        assert_eq!(status.reasons[2], "then: systemctl restart t0rn-agent");
        assert!(status.reasons[3].starts_with("no agent is running"), "{text}");
    }

    #[tokio::test]
    async fn hanging_agent_is_not_explained_by_configuration() {
        let now = Timestamp::UNIX_EPOCH;
        let wrong = || Config::parse("", "agent.toml");
        let hangs = ClientError::Hangs {
            socket: "/run/a.sock".into(),
            limit: AGENT_TIMEOUT,
        };
        let status = status_from_docker(&hangs, wrong(), now).await;
        assert!(status.summary.starts_with("the agent hangs"), "{status:?}");
        assert!(status.reasons[0].starts_with("Docker was not asked"), "{status:?}");
    }

    #[test]
    fn note_of_the_image_is_shown_while_its_file_exists() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("refused");
        assert_eq!(first_line(&file), None);
        std::fs::write(&file, "chain volume: /dev/sdb has partitions; attach another\n").unwrap();
        assert_eq!(
            first_line(&file).as_deref(),
            Some("chain volume: /dev/sdb has partitions; attach another")
        );
    }
}
