#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;
use agent_net::http::fake::{self, answer, request, serve};

const HASH: &str = "0x1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef";

fn client(url: &str) -> ReferenceClient {
    ReferenceClient::new(Chain::Parachain, 0, url.parse().unwrap())
}

/// A client of a server that answers every request as `script` says, by the request's body.
async fn served(path: &str, script: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> ReferenceClient {
    let script = Arc::new(script);
    let address = serve(move |_, mut stream| {
        let script = Arc::clone(&script);
        async move {
            while let Some(request) = request(&mut stream).await {
                let _ = stream.write_all(&script(&request.body)).await;
            }
        }
    })
    .await;
    client(&format!("http://{address}{path}"))
}

/// A node at height 100, of which 98 are final; `hash` is its answer to `chain_getBlockHash`.
async fn node(hash: Value) -> ReferenceClient {
    served("/", move |body| {
        let call: Value = serde_json::from_str(body).unwrap();
        let result = match (call["method"].as_str().unwrap(), call["params"][0].as_str()) {
            ("chain_getHeader", None) => json!({ "number": "0x64", "digest": { "logs": [] } }),
            ("chain_getFinalizedHead", None) => json!(HASH),
            ("chain_getHeader", Some(HASH)) => json!({ "number": "0x62" }),
            ("chain_getBlockHash", None) if call["params"] == json!([90]) => hash.clone(),
            other => panic!("{other:?}"),
        };
        ok(&json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string())
    })
    .await
}

fn ok(body: &str) -> Vec<u8> {
    answer(200, "", body.as_bytes())
}

fn heights(best: u64, finalized: Option<u64>) -> Reading {
    Reading {
        best: Some(best),
        finalized,
        forked: None,
    }
}

async fn read(mut reference: ReferenceClient) -> Result<Reading, ReferenceError> {
    reference.poll(None).await.0
}

/// What is read of a server that answers everything with these bytes, by RPC.
async fn rpc(bytes: Vec<u8>) -> Result<Reading, ReferenceError> {
    read(served("/", move |_| bytes.clone()).await).await
}

async fn page(text: &'static str) -> Result<Reading, ReferenceError> {
    read(served("/metrics", |_| ok(text)).await).await
}

#[tokio::test]
async fn rpc_endpoint_gives_both_heights() {
    assert_eq!(read(node(Value::Null).await).await, Ok(heights(100, Some(98))));
}

#[tokio::test]
async fn hash_at_own_height_is_the_same_another_or_unknown() {
    let another = format!("{}0", &HASH[..HASH.len() - 1]);
    for (answer, own, forked) in [
        (json!(HASH), "0x1234…cdef", Some(false)),
        (json!(another), "0x1234…cdef", Some(true)),
        (json!(HASH), "0x1235…cdef", Some(true)),
        (Value::Null, "0x1234…cdef", None),
        (json!("0x12"), "0x1234…cdef", None),
        (json!(7), "0x1234…cdef", None),
        (json!(HASH), "0x1234", None),
    ] {
        let own = OwnBlock {
            height: 90,
            hash: own.to_owned(),
        };
        let (read, _) = node(answer.clone()).await.poll(Some(&own)).await;
        assert_eq!(read.unwrap().forked, forked, "{answer}");
    }
}

#[tokio::test]
async fn rpc_endpoint_without_finality_gives_best() {
    let reference = served("/", |body| {
        ok(if body.contains("chain_getHeader") {
            r#"{"jsonrpc":"2.0","id":1,"result":{"number":"0xff"}}"#
        } else {
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}"#
        })
    });
    assert_eq!(read(reference.await).await, Ok(heights(255, None)));
}

#[tokio::test]
async fn metrics_page_of_a_node_gives_the_heights_of_its_first_chain() {
    let text = "# TYPE moonbeam_substrate_block_height gauge\n\
                moonbeam_substrate_block_height{status=\"sync_target\",chain=\"a\"} 9\n\
                moonbeam_substrate_block_height{status=\"best\",chain=\"a\"} 7\n\
                moonbeam_substrate_block_height{status=\"best\",chain=\"b\"} 70\n\
                moonbeam_substrate_block_height{status=\"finalized\",chain=\"b\"} 60\n\
                moonbeam_substrate_block_height{status=\"finalized\",chain=\"a\"} 6\n";
    assert_eq!(page(text).await, Ok(heights(7, Some(6))));
}

#[tokio::test]
async fn metrics_page_of_an_agent_gives_the_heights_of_this_chain() {
    let text = "t0rn_agent_chain_best_height{chain=\"relaychain\"} 900\n\
                t0rn_agent_chain_best_height{chain=\"parachain\"} 90\n\
                t0rn_agent_chain_finalized_height{chain=\"relaychain\"} 800\n";
    assert_eq!(page(text).await, Ok(heights(90, None)));
}

#[tokio::test]
async fn metrics_page_is_read_over_tls() {
    let text = "substrate_block_height{status=\"best\"} 5\n";
    let port = fake::serve_tls("127.0.0.1", String::from_utf8(ok(text)).unwrap());
    let url = format!("https://localhost:{port}/metrics");
    let trusting = ReferenceClient {
        trusts: Some(vec![fake::certificate()]),
        ..client(&url)
    };
    assert_eq!(read(trusting).await, Ok(heights(5, None)));
    let other = ReferenceClient {
        trusts: Some(Vec::new()),
        ..client(&url)
    };
    assert_eq!(read(other).await, Err(ReferenceError::Unreachable));
}

#[tokio::test]
async fn limit_of_requests_lengthens_the_pause() {
    for (status, header, shortest, longest) in [
        (429, "", 30, 60),
        (503, "", 30, 60),
        (429, "retry-after: 120\r\n", 120, 120),
        (429, "retry-after: 86400\r\n", 600, 600),
        (429, "retry-after: 0\r\n", 30, 30),
    ] {
        let mut reference = served("/", move |_| answer(status, header, b"")).await;
        let (result, pause) = reference.poll(None).await;
        assert_eq!(result, Err(ReferenceError::RateLimited));
        assert!(
            (shortest..=longest).contains(&pause.as_secs()),
            "{status} {header} {pause:?}"
        );
        let mut last = pause;
        for _ in 0..9 {
            last = reference.poll(None).await.1;
        }
        let expected = if header.is_empty() {
            300..=600
        } else {
            shortest..=longest
        };
        assert!(expected.contains(&last.as_secs()), "{status} {header} {last:?}");
    }
    let by_code = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32999,"message":"RPC rate limit exceeded"}}"#;
    assert_eq!(rpc(ok(by_code)).await, Err(ReferenceError::RateLimited));
}

#[tokio::test]
async fn answer_without_a_height_is_unparsable() {
    let large = " ".repeat(rpc::LARGEST + 1);
    for body in [
        "",
        "<html>",
        "{}",
        "[]",
        r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"number":"12"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"number":"0xfffffffffffffffff"}}"#,
        &large,
    ] {
        assert_eq!(rpc(ok(body)).await, Err(ReferenceError::Unparsable), "{body:.60}");
    }
    assert_eq!(
        rpc(b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec()).await,
        Err(ReferenceError::Unparsable)
    );
    for text in ["", "go_goroutines 7\n", "substrate_block_height{status=\"best\"} NaN\n"] {
        assert_eq!(page(text).await, Err(ReferenceError::Unparsable), "{text}");
    }
}

#[tokio::test]
async fn refusal_is_told_from_silence() {
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}"#;
    assert_eq!(rpc(ok(error)).await, Err(ReferenceError::Refused));
    assert_eq!(rpc(answer(404, "", b"")).await, Err(ReferenceError::Refused));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(
        read(client(&format!("http://{address}/"))).await,
        Err(ReferenceError::Unreachable)
    );

    let cut = answer(200, "", &[b' '; 100])[..60].to_vec();
    let address = serve(move |_, mut stream| {
        let cut = cut.clone();
        async move {
            request(&mut stream).await;
            let _ = stream.write_all(&cut).await;
        }
    })
    .await;
    assert_eq!(
        read(client(&format!("http://{address}/"))).await,
        Err(ReferenceError::Unreachable)
    );
}

#[tokio::test]
async fn redirect_of_a_reference_is_refused() {
    let node = node(Value::Null).await;
    let location = format!("location: {}\r\n", node.url);
    let reference = served("/", move |_| answer(307, &location, b"")).await;
    assert_eq!(read(reference).await, Err(ReferenceError::Refused));
}

#[tokio::test]
async fn silence_of_a_reference_ends_at_the_timeout() {
    let address = serve(|_, stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut reference = ReferenceClient {
        timeout: Duration::from_millis(50),
        ..client(&format!("http://{address}/"))
    };
    let (result, pause) = reference.poll(None).await;
    assert_eq!(result, Err(ReferenceError::Unreachable));
    assert!((20..=40).contains(&pause.as_secs()));
}

#[tokio::test]
async fn error_of_a_reference_shows_no_part_of_its_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client(&format!("http://{address}/s3cr3t"))
        .read(None)
        .await
        .unwrap_err();
    assert!(!error.to_string().contains("s3cr3t"), "{error}");
}
