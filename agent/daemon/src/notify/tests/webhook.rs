//! One request, whatever the other end does.

use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_net::http::fake::{certificate, serve_tls};

use super::fake::{Answer, Fake, status};
use super::*;
use crate::notify::webhook::{Retry, Webhook, WebhookError};
use agent_core::notification::queue::QueuedMessage;

fn webhook(url: &str, format: NotifyFormat) -> Webhook {
    Webhook::new(&config(url, format))
        .unwrap()
        .with_timeout(Duration::from_secs(5))
}

async fn post(webhook: &Webhook) -> Result<(), WebhookError> {
    let queued = QueuedMessage {
        message: stalled(),
        more: 0,
    };
    let done = webhook.post(&queued, 0).await;
    let shown = format!("{done:?} {webhook:?}");
    for part in ["S3CR3T", "T0TEAM", "127.0.0.1", "localhost"] {
        assert!(!shown.contains(part), "{shown}");
    }
    done
}

/// What comes of a message that is answered like this.
async fn answered(answer: Answer) -> Result<(), WebhookError> {
    let fake = Fake::serve(move |_| answer.clone()).await;
    post(&webhook(&fake.url(), NotifyFormat::Slack)).await
}

#[tokio::test]
async fn message_is_posted_as_json_to_the_configured_url() {
    let fake = Fake::serve(|_| status(200, "", "ok")).await;
    post(&webhook(&fake.url(), NotifyFormat::Slack)).await.unwrap();
    let request = fake.requests().remove(0);
    assert!(
        request
            .head
            .starts_with("POST /services/T0TEAM/S3CR3T-PATH?key=S3CR3T-QUERY HTTP/1.1\r\n")
    );
    assert!(
        request
            .head
            .to_lowercase()
            .contains("\r\ncontent-type: application/json")
    );
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    assert!(body["text"].as_str().unwrap().contains("stalled"));
}

#[tokio::test]
async fn telegram_chat_id_is_sent_in_the_body() {
    let fake = Fake::serve(|_| status(200, "", "{\"ok\":true}")).await;
    let url = format!("http://{}/bot1:S3CR3T/sendMessage?chat_id=-100%3123", fake.address);
    post(&webhook(&url, NotifyFormat::Telegram)).await.unwrap();
    let request = fake.requests().remove(0);
    assert!(
        request.head.starts_with("POST /bot1:S3CR3T/sendMessage HTTP/1.1\r\n"),
        "{}",
        request.head
    );
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body["chat_id"], "-100123");
}

#[tokio::test]
async fn no_content_is_success_as_with_discord() {
    assert_eq!(
        answered(Answer::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())).await,
        Ok(())
    );
}

#[tokio::test]
async fn retry_after_of_a_failing_service_is_honoured() {
    let seconds = |n| Retry::After(Duration::from_secs(n));
    for (answer, retry) in [
        (status(500, "", "oops"), Retry::Soon),
        (status(503, "retry-after: 20\r\n", ""), seconds(20)),
        (status(429, "", ""), Retry::Soon),
        (status(429, "retry-after: 7\r\n", ""), seconds(7)),
        (
            status(429, "retry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n", ""),
            seconds(0),
        ),
        (status(429, "retry-after: soon\r\n", ""), Retry::Soon),
        (
            status(
                429,
                "",
                r#"{"message": "You are being rate limited.", "retry_after": 64.0}"#,
            ),
            seconds(64),
        ),
        (
            status(
                429,
                "",
                r#"{"ok": false, "error_code": 429, "parameters": {"retry_after": 35}}"#,
            ),
            seconds(35),
        ),
        (status(429, "", r#"{"retry_after": -1e300}"#), Retry::Soon),
    ] {
        let refusal = answered(answer.clone()).await.unwrap_err();
        assert_eq!(refusal.retry, retry, "{answer:?}: {refusal}");
    }
}

#[tokio::test]
async fn wrong_url_is_not_retried_and_the_explanation_is_redacted() {
    for (answer, reason) in [
        (
            status(404, "", "no_service"),
            "it answered 404 Not Found (no_service): check notify.webhook",
        ),
        (
            status(400, "", r#"{"ok":false,"description":"Bad Request: chat not found"}"#),
            "it answered 400 Bad Request (Bad Request: chat not found): check notify.webhook and notify.format",
        ),
        (
            status(404, "", "Cannot POST /services/T0TEAM/S3CR3T-PATH"),
            "it answered 404 Not Found (Cannot POST …): check notify.webhook",
        ),
        (
            status(403, "", "key S3CR3T-QUERY is not known"),
            "it answered 403 Forbidden (key … is not known): check notify.webhook",
        ),
        (
            status(404, "", "<html>S3CR3T-PATH</html>"),
            "it answered 404 Not Found: check notify.webhook",
        ),
        (status(418, "", ""), "it answered 418 I'm a teapot"),
    ] {
        let refusal = answered(answer).await.unwrap_err();
        assert_eq!((refusal.to_string().as_str(), refusal.retry), (reason, Retry::Never));
    }
}

#[tokio::test]
async fn hanging_server_times_out() {
    let fake = Fake::serve(|_| Answer::Hang).await;
    let webhook = webhook(&fake.url(), NotifyFormat::Json).with_timeout(Duration::from_millis(200));
    let refusal = post(&webhook).await.unwrap_err();
    assert_eq!(
        (refusal.to_string().as_str(), refusal.retry),
        ("no answer within 200ms", Retry::Soon)
    );
    fake.is_left().await;
}

#[tokio::test]
async fn closed_port_and_invalid_http_are_errors() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refusal = post(&webhook(&format!("http://{free}/S3CR3T"), NotifyFormat::Json))
        .await
        .unwrap_err();
    assert_eq!(refusal.to_string(), "connection refused: nothing listens there");
    let refusal = answered(Answer::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()))
        .await
        .unwrap_err();
    assert!(refusal.to_string().starts_with("no connection: "), "{refusal}");
}

#[tokio::test]
async fn redirect_within_the_server_is_followed_and_a_loop_ends() {
    let fake = Fake::serve(|n| match n {
        0 => status(308, "location: /moved/S3CR3T\r\n", ""),
        _ => status(200, "", ""),
    })
    .await;
    post(&webhook(&fake.url(), NotifyFormat::Json)).await.unwrap();
    let requests = fake.requests();
    assert!(requests[1].head.starts_with("POST /moved/S3CR3T ") && requests[1].body == requests[0].body);

    let fake = Fake::serve(|_| status(307, "location: /again\r\n", "")).await;
    let refusal = post(&webhook(&fake.url(), NotifyFormat::Json)).await.unwrap_err();
    assert_eq!(refusal.retry, Retry::Never);
    assert!(refusal.to_string().contains("redirected elsewhere"), "{refusal}");
    assert_eq!(fake.requests().len(), 4);
}

#[tokio::test]
async fn redirect_to_another_server_or_method_is_not_followed() {
    let other = Fake::serve(|_| status(200, "", "")).await;
    let to_other = format!("location: http://{}/\r\n", other.address);
    for (code, location) in [
        (307, to_other.as_str()),
        (308, &to_other),
        (302, "location: /x\r\n"),
        (301, "location: /x\r\n"),
    ] {
        let answer = status(code, location, "");
        let fake = Fake::serve(move |_| answer.clone()).await;
        let refusal = post(&webhook(&fake.url(), NotifyFormat::Json)).await.unwrap_err();
        assert!(refusal.to_string().contains("redirected elsewhere"), "{refusal}");
        assert_eq!(fake.requests().len(), 1);
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn huge_response_is_not_read_in_full() {
    for code in [200, 500] {
        let fake = Fake::serve(move |_| Answer::Flood(code)).await;
        let done = post(&webhook(&fake.url(), NotifyFormat::Json)).await;
        assert_eq!(done.is_ok(), code == 200, "{done:?}");
        assert!(fake.written() < 20 << 20, "{} bytes", fake.written());
    }
}

/// A server that speaks TLS with a certificate of its own. Returns its port.
fn tls_server(address: &str) -> u16 {
    serve_tls(address, "HTTP/1.1 204 No Content\r\n\r\n".to_owned())
}

#[tokio::test]
async fn untrusted_certificate_is_rejected() {
    let url = format!("https://localhost:{}/S3CR3T", tls_server("127.0.0.1"));
    let refusal = post(&webhook(&url, NotifyFormat::Json)).await.unwrap_err();
    // Without any authorities on the host, the error says that instead.
    assert!(refusal.to_string().contains("certificate"), "{refusal}");
    assert_eq!(refusal.retry, Retry::Soon);
}

#[tokio::test]
async fn trusted_certificate_is_accepted() {
    let mut webhook = webhook(
        &format!("https://localhost:{}/S3CR3T", tls_server("127.0.0.1")),
        NotifyFormat::Json,
    );
    webhook.trusts = Some(vec![certificate()]);
    post(&webhook).await.unwrap();
}

#[tokio::test]
async fn certificate_for_another_name_is_rejected() {
    let mut webhook = webhook(
        &format!("https://127.0.0.2:{}/S3CR3T", tls_server("127.0.0.2")),
        NotifyFormat::Json,
    );
    webhook.trusts = Some(vec![certificate()]);
    let queued = QueuedMessage {
        message: stalled(),
        more: 0,
    };
    // The names that the certificate is for are no secret.
    let refusal = webhook.post(&queued, 0).await.unwrap_err();
    assert!(!refusal.to_string().contains("127.0.0.2"), "{refusal}");
    assert!(
        refusal.to_string().starts_with("its certificate is not trusted"),
        "{refusal}"
    );
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_shows_path_or_query_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone());
    let guard = tracing::subscriber::set_default(subscriber.finish());
    tracing::trace!("it begins");
    let _ = answered(status(404, "", "Cannot POST /services/T0TEAM/S3CR3T-PATH")).await;
    let _ = answered(status(307, "location: /services/T0TEAM/S3CR3T-PATH\r\n", "")).await;
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("it begins"),
        "nothing is logged, which proves nothing: {log}"
    );
    assert!(!log.contains("S3CR3T"), "{log}");
}
