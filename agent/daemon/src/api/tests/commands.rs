//! `POST /v1/command`.

use std::time::Duration;

use tokio::sync::oneshot;

use super::agent;
use crate::api::{CommandRequest, GIVES_UP, limits};
use crate::engine_stub::Log;
use crate::server::ServerLimits;
use agent_core::event::Command;
use agent_core::machine::CommandError;
use agent_runtime::wall;

#[tokio::test]
async fn command_reaches_the_loop_and_its_reply_the_client() {
    let mut agent = agent(Log::Short, limits()).await;
    let given = Command::Pause {
        seconds: 60,
        reason: "a \"test\"".into(),
    };
    for (reply, expected) in [
        (Ok("paused".to_owned()), true),
        (Err(CommandError("on hold".to_owned())), false),
    ] {
        let (answer, ()) = tokio::join!(agent.client.command(&given), async {
            let request = agent.commands.recv().await.unwrap();
            assert_eq!(request.command, given);
            request.reply.send(reply).unwrap();
        });
        match answer {
            Ok(words) => assert!(expected && words == "paused"),
            Err(error) => {
                assert!(!expected && error.to_string() == "on hold" && !error.is_unreachable());
            }
        }
    }
}

#[tokio::test]
async fn command_after_the_clients_timeout_is_not_carried_out() {
    let mut agent = agent(Log::Short, limits()).await;
    let body = serde_json::to_string(&Command::STOP).unwrap();
    let post = |gives_up: i64| {
        format!(
            "POST /v1/command HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{GIVES_UP}: {gives_up}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let answer = agent.raw_answer(&post(wall::unix_ms() - 1)).await;
    assert!(answer.contains("too late"), "{answer}");
    assert!(agent.commands.try_recv().is_err());
}

#[tokio::test]
async fn unanswered_command_is_an_error_within_the_limit() {
    let limits = ServerLimits {
        request: Duration::from_millis(50),
        ..limits()
    };
    let mut agent = agent(Log::Short, limits).await;
    let error = agent.client.command(&Command::STOP).await.unwrap_err();
    assert!(error.to_string().starts_with("not done within 50ms"), "{error}");
    let request = agent.commands.recv().await.unwrap();
    assert_eq!(request.command, Command::STOP);
    drop(request);
    agent.is_fine().await;
}

#[tokio::test]
async fn commands_beyond_the_queue_are_rejected() {
    let agent = agent(Log::Short, limits()).await;
    let (reply, _waiting) = oneshot::channel();
    agent
        .queue
        .try_send(CommandRequest {
            command: Command::STOP,
            reply,
        })
        .unwrap();
    let error = agent.client.command(&Command::START).await.unwrap_err();
    assert!(error.to_string().contains("busy with earlier commands"), "{error}");
}

#[tokio::test]
async fn command_during_shutdown_is_rejected() {
    let mut agent = agent(Log::Short, limits()).await;
    agent.commands.close();
    let error = agent.client.command(&Command::STOP).await.unwrap_err();
    assert_eq!(error.to_string(), "the agent is shutting down");
}

#[tokio::test]
async fn invalid_command_is_rejected_with_the_reason() {
    let agent = agent(Log::Short, limits()).await;
    let post = |body: &str| {
        format!(
            "POST /v1/command HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let long = format!(r#"{{"command": "restart", "reason": "{}"}}"#, "x".repeat(301));
    for (body, words) in [
        ("", "EOF while parsing"),
        ("\u{1}\u{2}", "expected value"),
        (r#"{"command": "explode"}"#, "unknown variant `explode`"),
        (r#"{"command": "pause", "seconds": 0, "reason": ""}"#, "from 1s to 30d"),
        (
            r#"{"command": "pause", "seconds": 18446744073709551615, "reason": ""}"#,
            "from 1s to 30d",
        ),
        (&long, "301 characters"),
        (r#"{"command": "restart", "reason": "a\nb"}"#, "one line"),
    ] {
        let answer = agent.raw_answer(&post(body)).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(words), "{answer}");
    }
    let answer = agent.raw_answer("GET /v2 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 404") && answer.contains("/v1/status"),
        "{answer}"
    );
}
