//! Keeps keys out of an image: refuses an operator's keys, removes the node's own.

use std::io;
use std::path::Path;

use agent_files::{Dir, printable};
use anyhow::{Context as _, bail, ensure};
use tracing::info;

use crate::survey::{Survey, XATTRS};

/// Paths named in one message at most.
const MAX_NAMED: usize = 10;

/// Checks the data directory before a bake's node starts. `resumed`: an earlier bake ran here, so that a node key is its own.
///
/// Fails when there are an operator's keys, or entries that no node keeps.
pub fn ensure_no_keys(data: &Path, resumed: bool) -> anyhow::Result<()> {
    let root = match Dir::open(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        root => root.with_context(|| format!("cannot look at {}", data.display()))?,
    };
    let survey = Survey::read(&root)?;
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
    let root = Dir::open(data).with_context(|| format!("cannot look at {}", data.display()))?;
    let found = Survey::read(&root)?;
    ensure_only_chain_data(data, &found)?;
    for cache in &found.caches {
        let removed = root.remove_file(cache);
        removed.with_context(|| format!("cannot remove {}", data.join(cache).display()))?;
    }
    for secret in &found.secrets {
        let path = data.join(&secret.path);
        let removed = root.remove_all(&secret.path);
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
        info!(path = %path.display(), keys = secret.holds_keys, "removed what an image must not carry");
        let mut above = secret.path.parent().unwrap_or(Path::new(""));
        if above.file_name().is_some_and(|name| name == "network") {
            let removed = root.remove_dir(above);
            removed.with_context(|| format!("cannot remove {}", data.join(above).display()))?;
            above = above.parent().unwrap_or(Path::new(""));
        }
        root.dir(above)?.sync()?;
    }
    // Before a certificate describes it, everything that the node wrote is on disk.
    rustix::fs::syncfs(root.handle()).with_context(|| format!("cannot sync {}", data.display()))?;
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
    let named = paths[..paths.len().min(MAX_NAMED)].join(", ");
    format!("{}{more}", printable(&named))
}

#[cfg(test)]
mod tests;
