#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod history;
mod page;

use std::fs;

use strum::VariantArray as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::*;
use agent_core::status::Status;
use agent_runtime::wall;

/// Far beyond what any of this takes; who waits that long hangs.
const LONG: Duration = Duration::from_mins(1);

struct Web {
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<()>,
    snapshot: watch::Sender<Arc<AgentSnapshot>>,
    history: SharedHistory,
    incidents: tempfile::TempDir,
}

impl Web {
    async fn with(limits: ServerLimits, snapshot: AgentSnapshot) -> Self {
        let (sender, receiver) = watch::channel(Arc::new(snapshot));
        let stop = CancellationToken::new();
        let history = SharedHistory::default();
        let incidents = tempfile::tempdir().unwrap();
        let state = WebState {
            snapshot: receiver,
            late_after: LONG,
            history: history.clone(),
            incidents: incidents.path().into(),
            hosts: watch::channel(Arc::from(["agent.example.com".to_owned()])).1,
            stopped: stop.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self {
            address,
            served: tokio::spawn(serve(limits, listener, state, stop.clone().cancelled_owned())),
            stop,
            snapshot: sender,
            history,
            incidents,
        }
    }

    async fn raw(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The agent may hang up on a request before it has taken all of it.
        let _ = stream.write_all(request.as_bytes()).await;
        stream
    }

    async fn ask(&self, request: &str) -> String {
        let mut answer = Vec::new();
        let mut stream = self.raw(request).await;
        let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// The status code and the body.
    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.ask(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }
}

fn snapshot(health: Health, running: Option<bool>) -> AgentSnapshot {
    let status = Status {
        health,
        summary: "a\nsummary".to_owned(),
        ..Status::default()
    };
    AgentSnapshot {
        running,
        ..AgentSnapshot::of(status, wall::now(), Instant::now().into_std())
    }
}

#[tokio::test]
async fn healthz_is_ok_while_the_loop_publishes_and_fails_when_it_hangs() {
    let fresh = snapshot(Health::Critical, None);
    let hangs = AgentSnapshot {
        at: Instant::now().into_std().checked_sub(2 * LONG).unwrap(),
        ..fresh.clone()
    };
    let (code, words) = Web::with(limits(), fresh).await.get("/healthz").await;
    assert!(code == 200 && words.starts_with("alive: "), "{code} {words}");
    let web = Web::with(limits(), hangs).await;
    for path in ["/healthz", "/readyz"] {
        let (code, words) = web.get(path).await;
        assert!(
            code == 503 && words.contains("systemctl restart t0rn-agent"),
            "{code} {words}"
        );
        assert_eq!(words.lines().count(), 1, "{words}");
    }
}

#[tokio::test]
async fn readyz_is_ok_only_while_the_collator_runs_ok_or_degraded() {
    for health in Health::VARIANTS {
        for running in [Some(true), Some(false), None] {
            let web = Web::with(limits(), snapshot(*health, running)).await;
            let (code, words) = web.get("/readyz").await;
            let ready = running == Some(true) && matches!(health, Health::Ok | Health::Degraded);
            assert_eq!(code, if ready { 200 } else { 503 }, "{health:?} {running:?}: {words}");
            assert!(
                words.ends_with(&format!("{}: a summary\n", health.into_str())),
                "{health:?} {running:?}: {words}"
            );
        }
    }
}

#[tokio::test]
async fn metrics_are_exposition_text_of_the_latest_snapshot() {
    let web = Web::with(limits(), snapshot(Health::Degraded, None)).await;
    let answer = web.ask("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    assert!(answer.contains("t0rn_agent_health{state=\"degraded\"} 1\n"), "{answer}");
    assert!(answer.contains("t0rn_agent_health{state=\"ok\"} 0\n"), "{answer}");
}

#[tokio::test]
async fn openmetrics_is_given_to_clients_that_ask_for_it() {
    let web = Web::with(limits(), snapshot(Health::Degraded, None)).await;
    let accept = "accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let answer = web
        .ask(&format!("GET /metrics HTTP/1.1\r\nhost: a\r\n{accept}\r\n\r\n"))
        .await;
    assert!(
        answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{answer}"
    );
    assert!(
        answer.contains("# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total "),
        "{answer}"
    );
    assert!(
        answer.contains("\nprocess_resident_memory_bytes ") && answer.ends_with("\n# EOF\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn methods_other_than_get_are_rejected() {
    let web = Web::with(limits(), snapshot(Health::Ok, None)).await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
            let answer = web.ask(&format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 405"), "{method} {path}: {answer}");
        }
        let answer = web.ask(&format!("HEAD {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert!(answer.ends_with("\r\n\r\n"), "a body after HEAD {path}: {answer}");
    }
    assert_eq!(web.get("/v1/command").await.0, 404);
}

#[tokio::test]
async fn endless_request_is_rejected() {
    let web = Web::with(limits(), snapshot(Health::Ok, None)).await;
    let answer = web
        .ask(&format!(
            "GET /metrics HTTP/1.1\r\nx: {}",
            "x".repeat(10 * server::REQUEST_MAX)
        ))
        .await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_eq!(web.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn idle_clients_are_dropped_and_others_are_served() {
    let limits = ServerLimits {
        connections: 4,
        head: Duration::from_millis(50),
        ..limits()
    };
    let web = Arc::new(Web::with(limits, snapshot(Health::Ok, None)).await);
    let mut held = Vec::new();
    for n in 0..100 {
        held.push(web.raw(["", "GET /metrics HTTP/1.1\r\nho"][n % 2]).await);
    }
    let mut clients = JoinSet::new();
    for _ in 0..100 {
        let web = Arc::clone(&web);
        clients.spawn(async move { web.get("/metrics").await.0 });
    }
    assert_eq!(clients.join_all().await, vec![200; 100]);
}

#[tokio::test]
async fn taken_address_is_bound_once_it_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let listening = tokio::spawn(listen(address, Duration::from_millis(1)));
    tokio::task::yield_now().await;
    assert!(!listening.is_finished());
    drop(taken);
    let listener = timeout(LONG, listening).await.unwrap().unwrap();
    assert_eq!(listener.local_addr().unwrap(), address);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_an_address_or_a_client() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_sender, receiver) = watch::channel(Arc::new(snapshot(Health::Ok, None)));
    let state = WebState {
        snapshot: receiver,
        late_after: LONG,
        history: SharedHistory::default(),
        incidents: Path::new("/nonexistent").into(),
        stopped: CancellationToken::new(),
        hosts: watch::channel(Arc::default()).1,
    };
    let never_bound = run(taken.local_addr().unwrap(), state, async {});
    timeout(LONG, never_bound).await.unwrap();

    let limits = ServerLimits {
        head: LONG,
        connection: LONG,
        drain: Duration::from_millis(10),
        ..limits()
    };
    let web = Web::with(limits, snapshot(Health::Ok, None)).await;
    let mut stuck = web.raw("GET /met").await;
    web.stop.cancel();
    timeout(LONG, web.served).await.unwrap().unwrap();
    assert_eq!(timeout(LONG, stuck.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
}

#[tokio::test]
async fn name_of_another_domain_gets_neither_metrics_nor_health() {
    let web = Web::with(limits(), snapshot(Health::Ok, Some(true))).await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        for host in [
            "10.0.0.7:9733",
            "[::1]",
            "localhost:9733",
            "collator-1:9733",
            "Agent.example.com:9733",
        ] {
            let answer = web.ask(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{path} {host}: {answer}");
        }
        let nameless = web.ask(&format!("GET {path} HTTP/1.0\r\n\r\n")).await;
        assert!(nameless[..12].ends_with("200"), "{path}: {nameless}");
        for host in [
            "evil.example",
            "evil.example:9733",
            "agent.example.com.evil.example",
            "127.0.0.1.evil.example",
            "ai.",
        ] {
            let answer = web.ask(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
            assert!(
                answer.starts_with("HTTP/1.1 421") && answer.contains("metrics.hosts"),
                "{path} {host}: {answer}"
            );
        }
    }
}
