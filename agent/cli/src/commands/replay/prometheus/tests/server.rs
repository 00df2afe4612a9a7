//! Servers that are none, or not now; nothing of them hangs or is taken for an answer.

use std::sync::atomic::{AtomicU32, Ordering};

use super::super::client::QueryError;
use super::fake::{serve, serve_raw};
use super::*;

const NOTHING: &str = r#"{"status":"success","data":[]}"#;

async fn ask(address: std::net::SocketAddr) -> Result<usize, QueryError> {
    ask_within(address, Duration::from_secs(20)).await
}

async fn ask_within(address: std::net::SocketAddr, timeout: Duration) -> Result<usize, QueryError> {
    let mut client = PrometheusClient::new(query(address).from_prometheus.as_ref().unwrap())
        .unwrap()
        .hurried(timeout);
    client.series(&["up".to_owned()], 0, 1).await.map(|all| all.len())
}

async fn said(address: std::net::SocketAddr) -> String {
    ask(address).await.unwrap_err().to_string()
}

#[tokio::test]
async fn error_distinguishes_unreachable_from_no_prometheus() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    assert!(
        said(free)
            .await
            .starts_with("connection refused: nothing listens there; start it")
    );

    let page = serve(|_, _| (200, "<html>Grafana</html>".to_owned())).await;
    let missing = serve(|_, _| (404, "404 page not found".to_owned())).await;
    let other = serve(|_, _| (200, r#"{"status":"success","data":{"a":1}}"#.to_owned())).await;
    let garbage = serve_raw(|_| "\u{0}\u{1}garbage\r\n\r\n".to_owned()).await;
    for address in [page, missing, other, garbage] {
        let text = said(address).await;
        assert!(
            text.starts_with("that is no Prometheus (") && text.contains("name the server itself"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn redirect_and_denied_access_name_the_remedy() {
    let moved = "HTTP/1.1 302 x\r\nlocation: https://example.org/prometheus/api?x=1\r\ncontent-length: 0\r\n\r\n";
    let text = said(serve_raw(|_| moved.to_owned()).await).await;
    assert!(
        text.starts_with("it sends us on to https://example.org/prometheus/api; name that"),
        "{text}"
    );

    let wants = |head: &str| {
        // user:pass
        let status = if head.contains("dXNlcjpwYXNz") { 200 } else { 401 };
        format!(
            "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{NOTHING}",
            NOTHING.len()
        )
    };
    let address = serve_raw(wants).await;
    assert!(
        said(address)
            .await
            .starts_with("it answers 401; where it wants a password, write http://USER")
    );
    let with: Address = format!("http://user:pass@{address}/").parse().unwrap();
    assert_eq!(
        PrometheusClient::new(&with)
            .unwrap()
            .series(&[], 0, 1)
            .await
            .unwrap()
            .len(),
        0
    );
    assert_eq!(
        format!("{with} {with:?}"),
        format!("http://{address} Address(http://{address})")
    );
}

#[tokio::test]
async fn refused_query_has_the_servers_message() {
    let body = r#"{"status":"error","errorType":"bad_data","error":"1:3: parse error: unexpected <by>"}"#;
    let text = said(serve(|_, _| (400, body.to_owned())).await).await;
    assert!(
        text.starts_with("it refuses the question: 1:3: parse error: unexpected <by>; selectors"),
        "{text}"
    );
}

#[tokio::test]
async fn answer_is_bounded_in_size_and_time() {
    let text = said(serve(|_, _| (200, "x".repeat(17 << 20))).await).await;
    assert!(text.starts_with("the answer is larger than 16 MiB"), "{text}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = ask_within(listener.local_addr().unwrap(), Duration::from_millis(50)).await;
    assert!(matches!(silent, Err(QueryError::Timeout(_))), "{silent:?}");
}

/// A server that answers well, then badly for `bad` times, then well again; and how often it was asked.
async fn flaky(bad: u32, answer: &'static str) -> (std::net::SocketAddr, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let address = serve_raw(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        n if (1..=bad).contains(&n) => answer.to_owned(),
        _ => format!("HTTP/1.1 200 x\r\ncontent-length: {}\r\n\r\n{NOTHING}", NOTHING.len()),
    })
    .await;
    (address, asked)
}

#[tokio::test]
async fn transient_errors_are_retried_a_few_times() {
    const BUSY: &str = "HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n";
    const TORN: &str = "HTTP/1.1 200 x\r\ncontent-length: 99\r\n\r\n{";
    const WRONG: &str = "HTTP/1.1 400 x\r\ncontent-length: 36\r\n\r\n{\"status\":\"error\",\"error\":\"no such\"}";
    for (bad, answer, asked, good) in [
        (3, BUSY, 5, true),
        (3, TORN, 5, true),
        (9, BUSY, 6, false),
        (1, WRONG, 2, false),
    ] {
        let (address, count) = flaky(bad, answer).await;
        let mut client = client(&query(address));
        client.series(&[], 0, 1).await.unwrap();
        let second = client.series(&[], 0, 1).await;
        assert_eq!(
            (second.is_ok(), count.load(Ordering::Relaxed)),
            (good, asked),
            "{second:?}"
        );
    }
    // A server that has never answered is not waited for.
    let (address, count) = flaky(9, BUSY).await;
    count.store(1, Ordering::Relaxed);
    assert!(said(address).await.contains("it cannot answer now (503"));
    assert_eq!(count.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn server_warning_is_printed() {
    let body = r#"{"status":"success","data":[],"warnings":["a store is away"]}"#;
    let address = serve(|_, _| (200, body.to_owned())).await;
    let mut client = client(&query(address));
    client.series(&[], 0, 1).await.unwrap();
    assert_eq!(client.warning.as_deref(), Some("a store is away"));
}

#[test]
fn address_accepts_only_plain_http() {
    let refused = |text: &str| text.parse::<Address>().unwrap_err();
    assert!(refused("https://prometheus.example.org").contains("open a tunnel (ssh -L 9090:"));
    for text in ["", "localhost:9090", "ftp://x", "http://", "unix:/x"] {
        assert!(refused(text).contains("such as http://127.0.0.1:9090"), "{text}");
    }
    let address: Address = "http://h:9090/prometheus/?g0=1#x".parse().unwrap();
    assert_eq!(address.to_string(), "http://h:9090/prometheus");
}
