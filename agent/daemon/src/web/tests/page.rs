//! The status page, as a browser's side of the wire sees it.

use base64::Engine as _;
use ring::digest::{SHA256, digest};

use super::*;
use agent_runtime::wall;

const PATHS: [&str; 5] = [
    "/",
    "/history",
    "/incidents",
    "/incidents/20261122T225000Z-stalled",
    "/events",
];

pub(super) async fn web() -> Web {
    Web::with(limits(), snapshot(Health::Ok, Some(true))).await
}

pub(super) fn request(method: &str, path: &str, host: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n\r\n")
}

/// There is no incident.
fn found(path: &str) -> u16 {
    if path.starts_with("/incidents/") { 404 } else { 200 }
}

/// The head of an answer, also of one that does not end.
async fn head(web: &Web, request: &str) -> String {
    let mut follower = Follower::new(web, request).await;
    follower.until("\r\n\r\n").await
}

/// A client that reads on.
struct Follower {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Follower {
    async fn new(web: &Web, request: &str) -> Self {
        Self {
            stream: web.raw(request).await,
            seen: Vec::new(),
        }
    }

    async fn open(web: &Web) -> Self {
        Self::new(web, &request("GET", "/events", "localhost")).await
    }

    /// Everything up to and including `end`.
    async fn until(&mut self, end: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.seen);
            if let Some(at) = text.find(end) {
                let taken = text[..at + end.len()].to_owned();
                self.seen.drain(..taken.len());
                return taken;
            }
            let read = timeout(LONG, self.stream.read_buf(&mut self.seen)).await.unwrap();
            assert!(
                read.is_ok_and(|n| n > 0),
                "ended before {end:?}: {:?}",
                String::from_utf8_lossy(&self.seen)
            );
        }
    }

    /// The summary of the next status.
    async fn summary(&mut self) -> String {
        self.until("event: status\n").await;
        let message = self.until("\n\n").await;
        let json: serde_json::Value = serde_json::from_str(message.strip_prefix("data: ").unwrap().trim()).unwrap();
        json["summary"].as_str().unwrap().to_owned()
    }
}

fn with_summary(summary: &str) -> Arc<AgentSnapshot> {
    let status = Status {
        summary: summary.to_owned(),
        ..Status::default()
    };
    Arc::new(AgentSnapshot::of(status, wall::now(), Instant::now().into_std()))
}

#[tokio::test]
async fn page_is_self_contained_and_allows_only_its_script_and_style() {
    let web = web().await;
    let answer = web.ask(&request("GET", "/", "127.0.0.1:9733")).await;
    let (head, document) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/html; charset=utf-8"),
        "{head}"
    );
    let line = head
        .lines()
        .find(|line| line.starts_with("content-security-policy: "))
        .unwrap();
    for (tag, directive) in [("style", "style-src"), ("script", "script-src")] {
        let (_, rest) = document.split_once(&format!("<{tag}>")).unwrap();
        let (text, rest) = rest.split_once(&format!("</{tag}>")).unwrap();
        assert!(text.len() > 1000 && !rest.contains(&format!("<{tag}")), "one {tag}");
        let hash = base64::prelude::BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
        assert!(line.contains(&format!("{directive} 'sha256-{hash}';")), "{line}");
    }
    for part in [
        "default-src 'none'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains("unsafe") && !line.contains("http"), "{line}");
    for word in [
        "src=",
        "http://",
        "https://",
        "@import",
        "url(",
        "innerHTML",
        "style=",
        "onclick",
    ] {
        let found = document.replace("http://www.w3.org/2000/svg", "").contains(word);
        assert!(!found, "{word} in the document");
    }
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let web = web().await;
    for path in PATHS {
        for host in ["localhost", "evil.example"] {
            let head = head(&web, &request("GET", path, host)).await;
            for line in [
                "cache-control: no-store",
                "x-content-type-options: nosniff",
                "referrer-policy: no-referrer",
                "x-frame-options: DENY",
                "cross-origin-resource-policy: same-origin",
                "content-security-policy: default-src 'none';",
            ] {
                assert!(head.contains(line), "{path} {line}: {head}");
            }
            assert!(!head.contains("access-control"), "{head}");
        }
    }
}

#[tokio::test]
async fn only_addresses_and_localhost_are_answered() {
    let web = web().await;
    for path in PATHS {
        for host in [
            "localhost",
            "LOCALHOST:9733",
            "127.0.0.1:1",
            "10.1.2.3:9733",
            "[::1]:9733",
            "[::1]",
        ] {
            let head = head(&web, &request("GET", path, host)).await;
            assert!(
                head.starts_with(&format!("HTTP/1.1 {}", found(path))),
                "{path} {host}: {head}"
            );
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:9733",
            "",
        ] {
            let head = head(&web, &request("GET", path, host)).await;
            assert!(head.starts_with("HTTP/1.1 4"), "{path} {host}: {head}");
        }
        let nameless = head(&web, &format!("GET {path} HTTP/1.0\r\n\r\n")).await;
        assert!(
            nameless.starts_with("HTTP/1.0 421") || nameless.starts_with("HTTP/1.1 421"),
            "{nameless}"
        );
    }
    // Prometheus may use a name: there is nothing to be had that is not in every scrape.
    assert_eq!(web.get("/metrics").await.0, 200);
}

#[tokio::test]
async fn page_offers_no_actions() {
    let web = web().await;
    for path in PATHS {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = web.ask(&request(method, path, "localhost")).await;
            assert!(answer.starts_with("HTTP/1.1 405"), "{method} {path}: {answer}");
        }
        let answer = web.ask(&request("HEAD", path, "localhost")).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {}", found(path))) && answer.ends_with("\r\n\r\n"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn snapshots_are_pushed_newest_first() {
    let web = web().await;
    let mut page = Follower::open(&web).await;
    let head = page.until("\r\n\r\n").await;
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    let greeting = page.until("event: status\n").await;
    assert!(
        greeting.contains("event: beat\n") && greeting.contains("retry: 2000\n"),
        "{greeting}"
    );
    page.until("\n\n").await;
    for summary in ["first", "second"] {
        web.snapshot.send_replace(with_summary(summary));
        assert_eq!(page.summary().await, summary);
    }
    // Who opens it later sees the newest at once.
    assert_eq!(Follower::open(&web).await.summary().await, "second");
}

#[tokio::test]
async fn no_text_of_the_collator_breaks_a_message() {
    let web = web().await;
    let mut page = Follower::open(&web).await;
    page.summary().await;
    web.snapshot
        .send_replace(with_summary("a\n\nevent: status\ndata: {}\r\rb\u{2028}c\0<script>"));
    let summary = page.summary().await;
    assert!(summary.starts_with("a event: status data: {} b"), "{summary:?}");
    web.snapshot.send_replace(with_summary("next"));
    assert_eq!(page.summary().await, "next");
}

#[tokio::test]
async fn pages_beyond_the_limit_are_rejected_until_one_closes() {
    let web = Arc::new(web().await);
    let mut pages = Vec::new();
    for _ in 0..limits().long_lived {
        let mut page = Follower::open(&web).await;
        page.summary().await;
        pages.push(page);
    }
    let refused = web.ask(&request("GET", "/events", "localhost")).await;
    assert!(
        refused.starts_with("HTTP/1.1 503") && refused.contains("close one"),
        "{refused}"
    );
    // All others are served as before, and what is pushed reaches every page.
    assert_eq!(web.get("/healthz").await.0, 200);
    web.snapshot.send_replace(with_summary("all"));
    for page in &mut pages {
        assert_eq!(page.summary().await, "all");
    }
    pages.pop();
    let again = async {
        loop {
            // The server notices an end when it sends the next message.
            web.snapshot.send_replace(with_summary("go"));
            if head(&web, &request("GET", "/events", "localhost"))
                .await
                .starts_with("HTTP/1.1 200")
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, again).await.unwrap();
}

#[tokio::test]
async fn page_that_reads_nothing_is_dropped_and_a_reading_one_stays() {
    let limits = ServerLimits {
        long_lived: 2,
        connection: Duration::from_millis(1),
        stall: Duration::from_millis(200),
        ..limits()
    };
    let web = Web::with(limits, snapshot(Health::Ok, Some(true))).await;
    let mut reads = Follower::open(&web).await;
    reads.summary().await;
    let mut takes_nothing = Follower::open(&web).await;
    takes_nothing.until("\n\n").await;
    let long = "x".repeat(2_000);
    let freed = async {
        for n in 0_u64.. {
            web.snapshot.send_replace(with_summary(&format!("{n} {long}")));
            reads.summary().await;
            // A place is free again: the one that takes nothing is gone.
            if n % 100 == 0
                && head(&web, &request("HEAD", "/events", "localhost"))
                    .await
                    .starts_with("HTTP/1.1 200")
            {
                return;
            }
        }
    };
    timeout(LONG, freed).await.unwrap();
}

#[tokio::test]
async fn open_pages_end_with_the_agent_at_once() {
    let limits = ServerLimits {
        drain: 2 * LONG,
        ..limits()
    };
    let web = Web::with(limits, snapshot(Health::Ok, Some(true))).await;
    let mut page = Follower::open(&web).await;
    page.summary().await;
    web.stop.cancel();
    timeout(LONG, web.served).await.unwrap().unwrap();
    let mut rest = Vec::new();
    timeout(LONG, page.stream.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(
        rest.ends_with(b"0\r\n\r\n"),
        "not ended cleanly: {:?}",
        String::from_utf8_lossy(&rest)
    );
}
