//! A second opinion about a chain, from a node that the agent does not supervise.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

/// The heights that a reference reports. `None` is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Best block, height.
    pub best: Option<u64>,
    /// Finalized block, height.
    pub finalized: Option<u64>,
    /// Whether its block at a height that both have is another one than ours; `None` when that could not be compared.
    pub forked: Option<bool>,
}

/// Why a reference gave no heights. None of these says anything about the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ReferenceError {
    /// No complete answer: no connection, no name, no time left, TLS refused.
    Unreachable,
    /// HTTP 429 or 503, or an error of JSON-RPC that means the same.
    RateLimited,
    /// Another HTTP status than 200, or an error of JSON-RPC.
    Refused,
    /// An answer that holds no height.
    Unparsable,
}
