//! `GET /v1/logs`.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::{LONG, agent};
use crate::api::{ClientError, limits};
use crate::engine_stub::Log;
use crate::server::ServerLimits;

#[tokio::test]
async fn log_arrives_whole() {
    let agent = agent(Log::Short, limits()).await;
    let whole = "line 0\nline 1\nline 2\n";
    assert_eq!(agent.client.log(10).await.unwrap(), whole.as_bytes());
    let followed: Vec<_> = agent.client.follow_log(10).await.unwrap().try_collect().await.unwrap();
    assert_eq!(followed.concat(), whole.as_bytes());
}

#[tokio::test]
async fn partial_log_is_an_error() {
    let agent = agent(Log::Broken, limits()).await;
    let error = agent.client.log(10).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }));
}

#[tokio::test]
async fn log_that_does_not_end_in_time_is_an_error_unless_followed() {
    let limits = ServerLimits {
        request: Duration::from_millis(300),
        ..limits()
    };
    let agent = agent(Log::Silent, limits).await;
    let error = agent.client.log(10).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }));
}

#[tokio::test]
async fn log_without_container_is_an_error() {
    let agent = agent(Log::Missing, limits()).await;
    let error = agent.client.follow_log(10).await.err().unwrap();
    assert!(!error.is_unreachable());
    assert!(error.to_string().starts_with("there is no container yet"), "{error}");
}

#[tokio::test]
async fn follower_that_disconnects_frees_its_permit_and_dockers_log() {
    let mut agent = agent(
        Log::Silent,
        ServerLimits {
            long_lived: 1,
            ..limits()
        },
    )
    .await;
    let mut log = Box::pin(agent.client.follow_log(10).await.unwrap());
    assert_eq!(log.try_next().await.unwrap().unwrap(), b"line 0\n");
    let error = agent.client.follow_log(10).await.err().unwrap();
    assert!(
        error.to_string().starts_with("1 clients follow the log already"),
        "{error}"
    );
    drop(log);
    agent.log_has_ended().await;
    assert!(agent.client.follow_log(10).await.is_ok());
}

#[tokio::test]
async fn follower_outlasts_the_limit_of_other_connections() {
    let short = Duration::from_millis(50);
    let agent = agent(
        Log::Silent,
        ServerLimits {
            connection: short,
            connections: 2,
            ..limits()
        },
    )
    .await;
    let mut log = Box::pin(agent.client.follow_log(10).await.unwrap());
    // This one is over when the limit has passed, and was opened after the follower.
    let mut idle = agent.raw("").await;
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(log.try_next().await.unwrap().unwrap(), b"line 0\n");
    assert!(timeout(short, log.try_next()).await.is_err(), "the log ended");
}

#[tokio::test]
async fn follower_that_reads_nothing_is_dropped_and_others_are_served() {
    let limits = ServerLimits {
        long_lived: 1,
        stall: Duration::from_millis(50),
        ..limits()
    };
    let mut agent = agent(Log::Endless, limits).await;
    let follow = "GET /v1/logs?tail=1&follow=true HTTP/1.1\r\nhost: a\r\n\r\n";
    let _stuck = agent.raw(follow).await;
    agent.is_fine().await;
    agent.log_has_ended().await;
    assert!(agent.client.follow_log(10).await.is_ok());
}

#[tokio::test]
async fn slow_reader_of_a_plain_log_is_dropped() {
    let limits = ServerLimits {
        connection: Duration::from_millis(100),
        ..limits()
    };
    let mut agent = agent(Log::Endless, limits).await;
    let _stuck = agent.raw("GET /v1/logs?tail=1 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    agent.log_has_ended().await;
    agent.is_fine().await;
}

#[tokio::test]
async fn shutting_down_ends_open_logs_and_removes_the_socket() {
    let agent = agent(
        Log::Silent,
        ServerLimits {
            drain: Duration::from_millis(10),
            ..limits()
        },
    )
    .await;
    let log = agent.client.follow_log(10).await.unwrap();
    agent.stop.send(()).unwrap();
    agent.served.await.unwrap();
    assert!(!agent.socket.exists());
    let log: Result<Vec<_>, _> = log.try_collect().await;
    assert!(matches!(log, Err(ClientError::Broken { .. })));
    let error = agent.client.status(LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Missing(_)) && error.is_unreachable());
}

#[test]
fn log_is_redacted_line_by_line_and_other_bytes_stay() {
    let mut redactor = crate::recorder::LineRedactor::default();
    let mut print = |bytes: &[u8]| crate::api::redacted(bytes.to_vec(), &mut redactor, &["hunter22".to_owned()]);
    assert_eq!(print(b"\xff plain \x1b[1m\n"), b"\xff plain \x1b[1m\n");
    assert_eq!(print(b"joined as hunter22\n"), b"joined as [redacted]\n");
    assert_eq!(print(b"-----BEGIN PRIVATE KEY-----\n"), b"[redacted]\n");
    assert_eq!(print(b"YXJtb3Vy\n"), b"");
}
