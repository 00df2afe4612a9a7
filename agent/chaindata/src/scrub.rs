//! Keeps keys out of an image: refuses an operator's keys, removes the node's own.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use tracing::info;

use crate::files;
use crate::survey::{Survey, XATTRS, survey_data_dir};

/// Paths named in one message at most.
const MAX_NAMED: usize = 10;

/// Checks the data directory before a bake's node starts. `resumed`: an earlier bake ran here, so that a node key is its own.
///
/// Fails when there are an operator's keys, or entries that no node keeps.
pub fn ensure_no_keys(data: &Path, resumed: bool) -> anyhow::Result<()> {
    if matches!(fs::symlink_metadata(data), Err(error) if error.kind() == io::ErrorKind::NotFound) {
        return Ok(());
    }
    let survey = survey_data_dir(data, false).with_context(|| format!("cannot look at {}", data.display()))?;
    let is_node_key = |path: &Path| path.file_name().is_some_and(|name| name == "secret_ed25519");
    let keys = survey
        .secrets
        .iter()
        .filter(|secret| secret.holds_keys && !(resumed && is_node_key(&secret.path)));
    let keys: Vec<_> = keys.map(|key| data.join(&key.path).display().to_string()).collect();
    ensure!(
        keys.is_empty(),
        "keys in the data directory, which an image must not carry: {}; move them to a safe place, or bake on a fresh host",
        name_some(&keys)
    );
    ensure_only_chain_data(data, &survey)
}

/// Removes the key stores, node keys and caches that the node made.
///
/// Fails, before anything is removed, when there are entries that no node keeps; and when something cannot be removed.
pub fn remove_keys(data: &Path) -> anyhow::Result<()> {
    let found = survey_data_dir(data, false).with_context(|| format!("cannot look at {}", data.display()))?;
    ensure_only_chain_data(data, &found)?;
    let root = data.canonicalize()?;
    for cache in &found.caches {
        let path = root.join(cache);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    for secret in &found.secrets {
        let path = root.join(&secret.path);
        // The survey followed no link to it, and nothing has run since.
        let removed = if fs::symlink_metadata(&path)?.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
        info!(path = %path.display(), keys = secret.holds_keys, "removed what an image must not carry");
        if let Some(above) = path.parent() {
            if above.file_name().is_some_and(|name| name == "network") {
                fs::remove_dir(above).with_context(|| format!("cannot remove {}", above.display()))?;
            }
            files::sync_dir(above.parent().unwrap_or(above))?;
        }
    }
    // Before a certificate describes it, everything that the node wrote is on disk.
    rustix::fs::syncfs(fs::File::open(&root)?).with_context(|| format!("cannot sync {}", root.display()))?;
    Ok(())
}

/// Fails when the survey found entries that an image must not carry.
pub fn ensure_only_chain_data(data: &Path, survey: &Survey) -> anyhow::Result<()> {
    let refused: Vec<_> = survey
        .refused
        .iter()
        .map(|(path, why)| format!("{} ({why})", data.join(path).display()))
        .chain(
            survey
                .with_xattrs
                .iter()
                .map(|path| format!("{} ({})", data.join(path).display(), XATTRS)),
        )
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    bail!(
        "in the data directory, but not the chains' databases: {}; move or remove them and bake again",
        name_some(&refused)
    )
}

/// The first few paths, and how many more there are.
fn name_some(paths: &[String]) -> String {
    let more = paths.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", paths[..paths.len().min(MAX_NAMED)].join(", "))
}

#[cfg(test)]
mod tests;
