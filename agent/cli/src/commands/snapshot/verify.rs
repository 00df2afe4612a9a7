//! `snapshot verify`.

use std::io::Write;

use serde_json::json;

use agent_chaindata::snapshot::{Manifest, PublicKey, ReadError, SnapshotSource, verify_snapshot};
use agent_core::units::{counted, rounded_size};

use super::progress::ProgressPrinter;
use super::unreadable;
use crate::commands::background::blocking;
use crate::output::print;

/// Verifies a snapshot and prints the result. Returns 1 when it is damaged or not signed.
///
/// Fails when it cannot be read.
pub(super) async fn verify(
    source: Box<dyn SnapshotSource + Send>,
    key: Option<PublicKey>,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let name = source.name();
    let verified = blocking(move || Ok(verify_snapshot(&*source, key.as_ref(), &mut ProgressPrinter::default())));
    let (text, code) = match verified.await? {
        Ok(manifest) if json => (json!({"ok": true, "snapshot": manifest.info}).to_string(), 0),
        Ok(manifest) => (format!("{name}: ok: {}", describe(&manifest)), 0),
        Err(ReadError::Io(error)) => return Err(unreadable(&name, &error).into()),
        Err(error) if json => (json!({"ok": false, "problem": error.to_string()}).to_string(), 1),
        Err(error) => (format!("{name}: {error}"), 1),
    };
    print(out, &(text + "\n"))?;
    Ok(code)
}

/// A snapshot in one line: its chains, size and time.
pub(super) fn describe(manifest: &Manifest) -> String {
    let info = &manifest.info;
    let chains = info.chains.values().map(|chain| {
        let height = chain.best.map(|best| format!(" #{best}")).unwrap_or_default();
        format!("{}{height}", chain.id)
    });
    let chains: Vec<_> = chains.collect();
    format!(
        "{}, {}, {} with {}, made {}",
        chains.join(", "),
        info.consistency.into_str(),
        counted(info.files, "file"),
        rounded_size(info.bytes),
        info.at
    )
}
