//! Heights from an HTTP JSON-RPC endpoint of a node.

use agent_core::event::{Reading, ReferenceError};
use agent_net::http;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{OwnBlock, ReadingError, ReferenceClient, failed, unread};

/// Size of the largest answer that is read, bytes. A header has about 1 kB.
pub(super) const LARGEST: usize = 64 << 10;
/// Codes of JSON-RPC errors by which nodes and providers limit requests.
const LIMITED: [i64; 3] = [429, -32005, -32999];
/// `0x` and 32 bytes in hexadecimal.
const HASH: usize = 66;

/// An answer of JSON-RPC 2.0.
#[derive(Deserialize)]
struct RpcAnswer {
    #[serde(default)]
    result: Value,
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct RpcError {
    #[serde(default)]
    code: i64,
}

/// What is needed of a block's header.
#[derive(Deserialize)]
pub(crate) struct Header {
    /// Hexadecimal, with `0x`.
    number: String,
}

impl Header {
    pub(crate) fn height(&self) -> Option<u64> {
        u64::from_str_radix(self.number.strip_prefix("0x")?, 16).ok()
    }
}

impl ReferenceClient {
    /// Best and finalized height, and whether the endpoint has another block at the height of `own`.
    pub(super) async fn read_rpc(&self, client: &Client, own: Option<&OwnBlock>) -> Result<Reading, ReadingError> {
        let best = self.height(client, json!([])).await?;
        let finalized = optional(self.finalized(client).await)?;
        let forked = match own {
            Some(own) => optional(self.is_forked(client, own).await)?.flatten(),
            None => None,
        };
        Ok(Reading {
            best: Some(best),
            finalized,
            forked,
        })
    }

    async fn finalized(&self, client: &Client) -> Result<u64, ReadingError> {
        let hash: String = self.call(client, "chain_getFinalizedHead", json!([])).await?;
        self.height(client, json!([hash])).await
    }

    /// `None` when the endpoint does not have the height.
    async fn is_forked(&self, client: &Client, own: &OwnBlock) -> Result<Option<bool>, ReadingError> {
        let hash: Option<String> = self.call(client, "chain_getBlockHash", json!([own.height])).await?;
        Ok(hash.and_then(|hash| differs(&hash, &own.hash)))
    }

    async fn height(&self, client: &Client, params: Value) -> Result<u64, ReadingError> {
        let header: Header = self.call(client, "chain_getHeader", params).await?;
        let height = header.height();
        height.ok_or_else(|| failed(ReferenceError::Unparsable, "chain_getHeader has no number"))
    }

    /// The result of one call.
    async fn call<T: DeserializeOwned>(
        &self,
        client: &Client,
        method: &'static str,
        params: Value,
    ) -> Result<T, ReadingError> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let read = async |response: Response| http::bytes(response, LARGEST).await.map_err(|e| unread(&e));
        let bytes = self.exchange(request.body(body.to_string()), read).await?;
        result(&bytes, method)
    }
}

/// The result in an answer.
pub(crate) fn result<T: DeserializeOwned>(bytes: &[u8], method: &'static str) -> Result<T, ReadingError> {
    let unparsable = |_| failed(ReferenceError::Unparsable, format!("no answer to {method}"));
    let answer: RpcAnswer = serde_json::from_slice(bytes).map_err(unparsable)?;
    match answer.error {
        Some(RpcError { code }) => {
            let kind = match code {
                code if LIMITED.contains(&code) => ReferenceError::RateLimited,
                _ => ReferenceError::Refused,
            };
            Err(failed(kind, format!("error {code} to {method}")))
        }
        None => serde_json::from_value(answer.result).map_err(unparsable),
    }
}

/// What the best height is read without. A limit of requests is an error all the same, so that a pause follows.
fn optional<T>(result: Result<T, ReadingError>) -> Result<Option<T>, ReadingError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind == ReferenceError::RateLimited => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether the hash is another one than `own`, of which head and tail are known; `None` when they cannot be compared.
pub(crate) fn differs(hash: &str, own: &str) -> Option<bool> {
    let (head, tail) = own.split_once('…')?;
    let comparable = hash.len() == HASH && hash.is_ascii() && head.len() + tail.len() < HASH;
    let same = || hash[..head.len()].eq_ignore_ascii_case(head) && hash[HASH - tail.len()..].eq_ignore_ascii_case(tail);
    comparable.then(|| !same())
}
