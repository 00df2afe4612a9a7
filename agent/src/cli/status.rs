//! `status`: from the agent, or from Docker when there is no agent to ask.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use super::{Cli, Closed, print};
use crate::api::ClientError;
use crate::config::{Config, ConfigError};
use crate::docker::{Docker, Error, Inspection};
use crate::event::Container;
use crate::status::{Collator, LastExit, Restarts, Status};

/// For the agent, which answers from memory. With [`DOCKER_LIMIT`] less than the 10 s of any command.
const AGENT_LIMIT: Duration = Duration::from_secs(5);
const DOCKER_LIMIT: Duration = Duration::from_secs(3);
const WATCH_EVERY: Duration = Duration::from_secs(2);

impl Cli {
    /// Prints how it is; returns the health's exit code, also when nobody reads it.
    pub(super) async fn status(&self, json: bool, watch: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let terminal = io::stdout().is_terminal() && !dumb;
        let client = self.client();
        loop {
            let status = match client.status(AGENT_LIMIT).await {
                Ok(status) => status,
                Err(error) => without_agent(&error, self.load(), Timestamp::now()).await,
            };
            let code = status.health.exit_code();
            let text = if json {
                status.to_json() + "\n"
            } else {
                status.render(terminal && !set("NO_COLOR"))
            };
            // In place on a terminal, one after the other in a file.
            let clear = if watch && terminal && !json {
                "\x1b[H\x1b[2J"
            } else {
                ""
            };
            match print(out, &format!("{clear}{text}")) {
                Err(error) if error.is::<Closed>() => return Ok(code),
                printed => printed?,
            }
            if !watch {
                return Ok(code);
            }
            sleep(WATCH_EVERY).await;
        }
    }
}

/// What can still be told when no agent can be asked: the reason, and the container as Docker has it.
async fn without_agent(error: &ClientError, config: Result<Config, ConfigError>, now: Timestamp) -> Status {
    let mut status = Status {
        time: now,
        summary: error.to_string(),
        ..Status::default()
    };
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            status
                .reasons
                .push(format!("Docker was not asked, for want of a configuration: {first}"));
            return status;
        }
    };
    status.collator.container = Some(config.collator.container.clone());
    let asked = timeout(DOCKER_LIMIT, async { Docker::new(&config)?.inspect().await }).await;
    let asked: Result<Inspection, Option<Error>> = match asked {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(Some(error)),
        Err(_) => Err(None),
    };
    match asked {
        Ok(found) => {
            status
                .reasons
                .push("the container is shown as Docker has it; nobody watches it".to_owned());
            if found.container == Container::Foreign {
                let name = &config.collator.container;
                status
                    .reasons
                    .push(format!("container {name} was not created by t0rn-agent"));
            }
            status.collator = collator(found, &config);
        }
        Err(Some(error)) => status.reasons.push(error.to_string()),
        Err(None) => {
            let seconds = DOCKER_LIMIT.as_secs();
            status
                .reasons
                .push(format!("docker did not answer within {seconds} s either"));
        }
    }
    status
}

fn collator(found: Inspection, config: &Config) -> Collator {
    let mut collator = Collator {
        container: Some(config.collator.container.clone()),
        state: Some("missing".to_owned()),
        ..Collator::default()
    };
    if let Some(detail) = found.detail {
        let ended = detail.exit_code.map(|code| LastExit {
            code: Some(code),
            oom: Some(detail.oom),
            at: detail.finished_at,
        });
        collator = Collator {
            image: Some(detail.image),
            digest: detail.digest,
            id: Some(detail.id),
            state: Some(detail.status),
            started_at: detail.started_at,
            restarts: Restarts::default(),
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
    use crate::api::tests::engine::{Engine, Log};
    use crate::status::Health;

    async fn shown(config: Result<Config, ConfigError>) -> (String, Status) {
        let now = "2026-11-22T22:50:00Z".parse().unwrap();
        let status = without_agent(&ClientError::Missing("/run/a.sock".into()), config, now).await;
        assert_eq!(status.health, Health::Unknown);
        (status.render(false), serde_json::from_str(&status.to_json()).unwrap())
    }

    #[tokio::test]
    async fn without_an_agent_docker_tells_that_it_runs_and_since_when() {
        let engine = Engine::start(Log::Short);
        let (text, status) = shown(Ok(engine.config)).await;
        assert!(text.starts_with("UNKNOWN: no agent is running (see: systemctl status t0rn-agent): /run/a.sock"));
        assert!(
            text.contains("collator    running for 3h 12m   t0rn-collator   id ab12cd34ef56\n"),
            "{text}"
        );
        assert_eq!(status.collator.image.as_deref(), Some("example/collator:1"));
        assert_eq!((status.phase, status.collator.last_exit), (None, None));
    }

    #[tokio::test]
    async fn without_an_agent_docker_tells_how_it_ended() {
        let engine = Engine::start(Log::Exited);
        let (text, status) = shown(Ok(engine.config)).await;
        assert!(text.contains("last exit 137 (out of memory) 10m ago"), "{text}");
        assert_eq!(status.collator.state.as_deref(), Some("exited"));
    }

    #[tokio::test]
    async fn without_an_agent_docker_tells_that_there_is_no_container() {
        let engine = Engine::start(Log::Missing);
        let (text, status) = shown(Ok(engine.config)).await;
        assert!(text.contains("collator    missing   t0rn-collator"), "{text}");
        assert_eq!(status.collator.id, None);
    }

    #[tokio::test]
    async fn with_neither_agent_nor_docker_nor_configuration_it_says_so() {
        let mut config = Config::parse("[collator]\nimage = \"x\"", "test").unwrap();
        config.agent.docker = "/nonexistent/docker.sock".into();
        let (text, status) = shown(Ok(config)).await;
        assert!(
            text.contains("  - docker at /nonexistent/docker.sock does not answer"),
            "{text}"
        );
        assert_eq!(status.collator.state, None);
        let (text, _) = shown(Config::parse("", "agent.toml")).await;
        assert!(
            text.contains("  - Docker was not asked, for want of a configuration: agent.toml"),
            "{text}"
        );
    }
}
