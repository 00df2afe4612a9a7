//! `POST /v1/command`.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::agent;
use crate::api::{CommandRequest, GIVES_UP, limits};
use crate::engine_stub::Log;
use crate::server::ServerLimits;
use agent_core::event::Command;
use agent_core::machine::CommandError;

#[tokio::test]
async fn a_command_reaches_who_decides_and_the_words_come_back() {
    let mut agent = agent(Log::Short, limits());
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
async fn a_command_whose_client_was_told_that_it_failed_is_not_carried_out() {
    let mut agent = agent(Log::Short, limits());
    let body = serde_json::to_string(&Command::Stop).unwrap();
    let post = |gives_up: i64| {
        format!(
            "POST /v1/command HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{GIVES_UP}: {gives_up}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let answer = agent.raw_answer(&post(Timestamp::now().as_millisecond() - 1)).await;
    assert!(answer.contains("too late"), "{answer}");
    assert!(agent.commands.try_recv().is_err());
}

#[tokio::test]
async fn a_command_nobody_answers_is_told_so_in_time() {
    let limits = ServerLimits {
        request: Duration::from_millis(50),
        ..limits()
    };
    let mut agent = agent(Log::Short, limits);
    let error = agent.client.command(&Command::Stop).await.unwrap_err();
    assert!(error.to_string().starts_with("not done within 0.05 s"), "{error}");
    let request = agent.commands.recv().await.unwrap();
    assert_eq!(request.command, Command::Stop);
    drop(request);
    agent.is_fine().await;
}

#[tokio::test]
async fn commands_beyond_the_queue_are_declined() {
    let agent = agent(Log::Short, limits());
    let (reply, _waiting) = oneshot::channel();
    agent
        .queue
        .try_send(CommandRequest {
            command: Command::Stop,
            reply,
        })
        .unwrap();
    let error = agent.client.command(&Command::Start).await.unwrap_err();
    assert!(error.to_string().contains("busy with earlier commands"), "{error}");
}

#[tokio::test]
async fn an_agent_that_shuts_down_says_so() {
    let mut agent = agent(Log::Short, limits());
    agent.commands.close();
    let error = agent.client.command(&Command::Stop).await.unwrap_err();
    assert_eq!(error.to_string(), "the agent is shutting down");
}

#[tokio::test]
async fn what_is_no_command_is_refused_with_the_reason() {
    let agent = agent(Log::Short, limits());
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
        (
            r#"{"command": "pause", "seconds": 0, "reason": ""}"#,
            "from 1 s to 30 days",
        ),
        (
            r#"{"command": "pause", "seconds": 18446744073709551615, "reason": ""}"#,
            "from 1 s to 30 days",
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
