//! Errors of the client.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::LONG;
use crate::api::{AgentClient, ClientError, bind};
use agent_core::event::Command;

#[tokio::test]
async fn socket_without_listener_differs_from_a_missing_one() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    drop(bind(&socket, "root").await.unwrap());
    let error = AgentClient::new(&socket).status(LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Dead(_)));
    assert!(error.to_string().contains("systemctl status t0rn-agent"), "{error}");
}

#[tokio::test]
async fn hanging_agent_is_an_error_within_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let _deaf = bind(&socket, "root").await.unwrap();
    let error = AgentClient::new(&socket)
        .status(Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Hangs { .. }));
    assert!(error.to_string().contains("within 50ms"), "{error}");
}

#[tokio::test]
async fn invalid_status_response_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let garbage = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{}",
        "x".repeat(100_000)
    );
    for (answer, words) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"schema\": 2}",
            "has schema 2",
        ),
        ("\u{0}\u{1}\u{2}\r\n\r\n", "broke off"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "broke off"),
        ("", "broke off"),
        (&garbage, "broke off"),
    ] {
        let client = AgentClient::new(&socket);
        let (error, ()) = tokio::join!(client.status(LONG), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn command_believes_no_other_server_on_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    for body in [
        "OK",
        "",
        "stopping the collator",
        "{}",
        r#"{"agent": "other", "reply": "stopped"}"#,
        "[1]",
    ] {
        let client = AgentClient::new(&socket);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let (error, ()) = tokio::join!(client.command(&Command::STOP), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        let error = error.unwrap_err();
        assert!(
            error.is_unreachable() && error.to_string().contains("no agent"),
            "{body}: {error}"
        );
    }
}
