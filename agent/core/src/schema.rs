//! Versions of the JSON documents that the agent writes.

use serde::Deserialize;

#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// Field `schema` of a document. Read first and alone: of a newer one nothing else may be understood.
pub fn schema_of(document: &[u8]) -> serde_json::Result<u32> {
    serde_json::from_slice(document).map(|Schema { schema }| schema)
}
