#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;
use agent_net::http::fake::{answer, request, serve};

const LONG: Duration = Duration::from_secs(20);
const SMALL: &str = "substrate_block_height{status=\"best\",chain=\"x\"} 7\n";

fn exporter(address: impl std::fmt::Display, timeout: Duration) -> ExporterClient {
    let config = agent_config::ExporterConfig {
        metrics: format!("http://{address}/metrics"),
        prefix: "substrate".to_owned(),
        references: Vec::new(),
        idle: agent_config::Idle::default(),
    };
    ExporterClient::new(Chain::Parachain, &config, timeout).unwrap()
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer(200, "", body)
}

/// Scrapes a server that sends these bytes to every request and closes.
async fn scrape(response: Vec<u8>) -> Result<ExporterPage, ExporterError> {
    let response = Arc::new(response);
    let address = serve(move |_, mut stream| {
        let response = response.clone();
        async move {
            request(&mut stream).await;
            let _ = stream.write_all(&response).await;
        }
    })
    .await;
    exporter(address, LONG).scrape().await
}

async fn failure(response: Vec<u8>) -> (ScrapeError, String) {
    let failure = scrape(response).await.unwrap_err();
    let (_, detail) = failure.detail.split_once("/metrics: ").unwrap();
    (failure.kind, detail.to_owned())
}

fn page(gz: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(gz).read_to_end(&mut text).unwrap();
    text
}

#[tokio::test]
async fn real_parachain_page_reads_in_full() {
    let text = page(include_bytes!("pages/t0rn-parachain.prom.gz"));
    let page = scrape(ok(&text)).await.unwrap();
    let sample = Sample {
        best: Some(5455),
        finalized: Some(0),
        target: Some(5455),
        peers: Some(1),
        major_syncing: Some(false),
        imported_total: Some(5505),
        bytes_in: Some(7_094_596),
        built_total: Some(0),
        process_start: Some(1_795_387_498),
    };
    let read = ExporterPage {
        sample,
        chain_id: Some("t0rn_testnet".to_owned()),
        collation: CollationCounts {
            built: Some(0),
            ..CollationCounts::default()
        },
        node_version: Some("1.25.1-0".to_owned()),
        genesis: Some("ec62ec7bc3bd808f67a63d9a3c709d1426ec5a33cd172938fde8236a0d28ce32".to_owned()),
        node_roles: Some(4),
        by_rpc: false,
        bytes: text.len(),
        elapsed: page.elapsed,
    };
    assert_eq!(page, read);
}

#[tokio::test]
async fn real_relay_chain_page_has_collation_counts() {
    let page = scrape(ok(&page(include_bytes!("pages/rococo-relaychain-isolated.prom.gz"))))
        .await
        .unwrap();
    let zero = Some(0);
    let none_yet = CollationCounts {
        built: None,
        sent: zero,
    };
    assert_eq!(page.collation, none_yet);
    assert_eq!(page.chain_id.as_deref(), Some("rococo_v2_2"));
    assert_eq!((page.sample.peers, page.sample.imported_total), (zero, None));
}

#[tokio::test]
async fn closed_port_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = exporter(address, LONG).scrape().await.unwrap_err();
    assert_eq!(failure.kind, ScrapeError::Refused);
    assert_eq!(
        failure.detail,
        format!("http://{address}/metrics: connection refused: nothing listens there")
    );
}

#[tokio::test]
async fn name_that_does_not_exist_is_unreachable() {
    let failure = exporter("exporter.invalid", LONG).scrape().await.unwrap_err();
    assert_eq!(failure.kind, ScrapeError::Unreachable);
}

#[tokio::test]
async fn silence_after_accepting_times_out() {
    let address = serve(|_, stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let failure = exporter(address, Duration::from_millis(50)).scrape().await.unwrap_err();
    assert_eq!(failure.kind, ScrapeError::Timeout);
    assert!(
        failure
            .detail
            .ends_with("no complete answer within 50ms (health.scrape_timeout)"),
        "{failure}"
    );
}

#[tokio::test]
async fn slow_drip_times_out_as_a_whole() {
    let address = serve(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(b"#\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let failure = exporter(address, Duration::from_millis(100))
        .scrape()
        .await
        .unwrap_err();
    assert_eq!(failure.kind, ScrapeError::Timeout);
}

#[tokio::test]
async fn connection_closed_without_response_is_unreachable() {
    assert_eq!(failure(Vec::new()).await.0, ScrapeError::Unreachable);
}

#[tokio::test]
async fn other_status_is_an_error_with_the_status() {
    let (error, detail) = failure(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    assert_eq!(error, ScrapeError::HttpStatus);
    assert_eq!(
        detail,
        "answered 500 Internal Server Error: check chains.parachain.metrics"
    );
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let visited = Arc::new(AtomicUsize::new(0));
    let counter = visited.clone();
    let target = serve(move |_, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        async {}
    })
    .await;
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(failure(redirect.into_bytes()).await.0, ScrapeError::HttpStatus);
    assert_eq!(visited.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn response_other_than_http_is_unparsable() {
    let (error, detail) = failure(b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec()).await;
    assert_eq!(error, ScrapeError::Unparsable);
    assert!(detail.starts_with("the answer is no HTTP"), "{detail}");
}

#[tokio::test]
async fn body_other_than_exposition_text_is_unparsable() {
    for body in [
        &b"<html>\n<body>hello</body>\n</html>\n"[..],
        b"{\"status\": \"ok\"}\n",
        b"hello world\n",
        b"\x00\xff\xfe\x1b\n\x80\x81\n",
        b"no end of line",
    ] {
        let (error, _) = failure(ok(body)).await;
        assert_eq!(error, ScrapeError::Unparsable, "{}", String::from_utf8_lossy(body));
    }
}

#[tokio::test]
async fn compressed_page_is_unparsable() {
    let gz = include_bytes!("pages/t0rn-parachain.prom.gz");
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        gz.len()
    );
    let (error, detail) = failure([head.as_bytes(), gz].concat()).await;
    assert_eq!(error, ScrapeError::Unparsable);
    assert_eq!(detail, "answered in the encoding \"gzip\", which was not requested");
    assert_eq!(failure(ok(gz)).await.0, ScrapeError::Unparsable);
}

#[tokio::test]
async fn truncated_page_is_unparsable() {
    let text = page(include_bytes!("pages/t0rn-parachain.prom.gz"));
    // Inside a number, with an honest length; and with less than was promised.
    let cut = text.windows(5).position(|w| w == b" 5455").unwrap() + 3;
    assert_eq!(failure(ok(&text[..cut])).await.0, ScrapeError::Unparsable);
    let mut promised = ok(&text);
    promised.truncate(promised.len() / 2);
    let (error, detail) = failure(promised).await;
    assert_eq!(error, ScrapeError::Unparsable);
    assert!(detail.starts_with("the page broke off"), "{detail}");
}

#[tokio::test]
async fn page_without_block_height_is_an_error_naming_it() {
    let missing = ScrapeError::MetricMissing;
    for (body, said) in [
        ("", "no substrate_block_height on the page: another program's exporter?"),
        (
            "go_goroutines 7\n",
            "no substrate_block_height on the page: another program's exporter?",
        ),
        (
            "moonbeam_block_height{status=\"best\"} 7\n",
            "no substrate_block_height but moonbeam_block_height: set prefix = \"moonbeam\"",
        ),
    ] {
        assert_eq!(failure(ok(body.as_bytes())).await, (missing, said.to_owned()));
    }
}

/// Scrapes a page of 100 MB that begins with `first`; returns how much of it was sent as well.
async fn scrape_large(first: &'static str, is_announced: bool) -> (Result<ExporterPage, ExporterError>, usize) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    let address = serve(move |_, mut stream| {
        let counter = counter.clone();
        async move {
            request(&mut stream).await;
            let length = if is_announced {
                "content-length: 104857600\r\n"
            } else {
                ""
            };
            stream
                .write_all(format!("HTTP/1.1 200 OK\r\n{length}\r\n{first}").as_bytes())
                .await
                .unwrap();
            let lines = "substrate_x 1\n".repeat(1000);
            while counter.load(Ordering::SeqCst) < 100 << 20 && stream.write_all(lines.as_bytes()).await.is_ok() {
                counter.fetch_add(lines.len(), Ordering::SeqCst);
            }
        }
    })
    .await;
    let result = exporter(address, LONG).scrape().await;
    (result, sent.load(Ordering::SeqCst))
}

#[tokio::test]
async fn page_of_100_mb_gives_its_heights_at_the_cap() {
    for is_announced in [true, false] {
        let (page, sent) = scrape_large(SMALL, is_announced).await;
        assert_eq!(page.unwrap().sample.best, Some(7));
        // What the cap lets through, and what the two sockets hold.
        assert!(sent < 40 << 20);
    }
}

#[tokio::test]
async fn page_of_100_mb_without_height_is_too_large() {
    let (page, sent) = scrape_large("", false).await;
    let error = page.unwrap_err();
    assert_eq!(error.kind, ScrapeError::TooLarge);
    let detail = "no substrate_block_height in the first 16MiB of the page: another program's exporter?";
    assert!(error.detail.ends_with(detail), "{error}");
    assert!(sent < 40 << 20);
}

#[tokio::test]
async fn endless_page_gives_its_heights_at_the_timeout() {
    let address = serve(|_, mut stream| async move {
        request(&mut stream).await;
        let head = format!("HTTP/1.1 200 OK\r\n\r\n{SMALL}#\nsubstrate_sync_peers 4");
        stream.write_all(head.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let page = exporter(address, Duration::from_millis(100)).scrape().await.unwrap();
    assert_eq!((page.sample.best, page.sample.peers), (Some(7), None));
}

#[tokio::test]
async fn scrape_closes_its_connection() {
    let (closed, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let address = serve(move |_, mut stream| {
        let closed = closed.clone();
        async move {
            while request(&mut stream).await.is_some() {
                stream.write_all(&ok(SMALL.as_bytes())).await.unwrap();
            }
            closed.send(()).unwrap();
        }
    })
    .await;
    let exporter = exporter(address, LONG);
    for _ in 0..3 {
        assert_eq!(exporter.scrape().await.unwrap().sample.best, Some(7));
        ends.recv().await.unwrap();
    }
}

#[test]
fn proxy_from_the_environment_is_ignored() {
    let test = "exporter::tests::redirect_is_not_followed";
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test])
        .env("http_proxy", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1");
    assert!(command.status().unwrap().success());
}

#[tokio::test]
async fn raw_page_is_cut_at_whole_lines() {
    let body = "a 1\nb 2\nc 3\n";
    let address = serve(move |_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(&ok(body.as_bytes())).await.unwrap();
    })
    .await;
    let exporter = exporter(address, LONG);
    assert_eq!(exporter.raw_page(12).await.unwrap(), body);
    assert_eq!(
        exporter.raw_page(10).await.unwrap(),
        "a 1\nb 2\n# cut here: the page is larger than 10 bytes\n"
    );
    assert_eq!(
        exporter.raw_page(0).await.unwrap(),
        "# cut here: the page is larger than 0 bytes\n"
    );
}
