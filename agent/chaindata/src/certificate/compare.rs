//! Compares a certificate with the node that runs on the data: before it starts, and with every scrape.

use std::collections::BTreeMap;
use std::path::Path;

use strum::VariantArray as _;

use agent_core::event::{Chain, Conflict};
use agent_core::published::NodeInfo;

use super::Certificate;
use crate::layout::Database;

/// Conflict between the certificate and what the running nodes report; `None` also while too little is known.
pub fn node_conflict(certificate: &Certificate, nodes: &BTreeMap<Chain, NodeInfo>) -> Option<Conflict> {
    certificate.chains.iter().find_map(|(name, baked)| {
        let node = nodes.get(name)?;
        let differs = |found: &Option<String>, baked: &str| found.as_deref().is_some_and(|found| found != baked);
        if differs(&node.genesis, &baked.genesis) || differs(&node.chain_id, &baked.id) {
            return Some(Conflict::Chain);
        }
        let older = version_numbers(node.version.as_deref()?)? < version_numbers(&baked.node)?;
        older.then_some(Conflict::NewerNode)
    })
}

/// Conflict between the certificate and the data or the node's command line, known before the node runs: the baked
/// database is missing, another kind is there, or `command` asks for another kind. Blocks on the disk.
pub fn database_conflict(certificate: &Certificate, data: &Path, command: &[String]) -> Option<Conflict> {
    let mut sides = command.split(|word| word == "--");
    let (own, relay) = (sides.next().unwrap_or_default(), sides.next().unwrap_or_default());
    certificate.chains.iter().find_map(|(name, baked)| {
        let words = if *name == Chain::Parachain { own } else { relay };
        let asks_for_other = requested_database(words).is_some_and(|asked| asked != baked.database);
        let root = data.join(&baked.path);
        let is_there = |database: Database| root.join(database.dir()).is_dir();
        let others = Database::VARIANTS
            .iter()
            .any(|database| *database != baked.database && is_there(*database));
        (asks_for_other || !root.is_dir() || (others && !is_there(baked.database))).then_some(Conflict::Database)
    })
}

/// The kind of database that a command line asks for; `None` where the node chooses.
fn requested_database(words: &[String]) -> Option<Database> {
    let at = words
        .iter()
        .position(|word| matches!(word.split('=').next(), Some("--database" | "--db")))?;
    let value = match words[at].split_once('=') {
        Some((_, value)) => value,
        None => words.get(at + 1)?,
    };
    match value.to_ascii_lowercase().as_str() {
        "rocksdb" => Some(Database::RocksDb),
        "paritydb" | "paritydb-experimental" => Some(Database::ParityDb),
        _ => None,
    }
}

/// The numbers of a version such as `1.25.1-0a1b2c`, without suffix and without trailing zeros. `None` when it has none,
/// which compares with nothing.
pub(crate) fn version_numbers(version: &str) -> Option<Vec<u64>> {
    let numbers = version.split(['-', '+', ' ']).next()?;
    let numbers = numbers.trim_start_matches('v').split('.').map(|n| n.parse().ok());
    let mut numbers: Vec<u64> = numbers.collect::<Option<_>>()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::certificate::tests::certificate;

    fn node(chain_id: &str, genesis: &str, version: &str) -> BTreeMap<Chain, NodeInfo> {
        let node = NodeInfo {
            chain_id: Some(chain_id.to_owned()),
            genesis: Some(genesis.to_owned()),
            version: Some(version.to_owned()),
            roles: None,
        };
        BTreeMap::from([(Chain::Parachain, node)])
    }

    #[test]
    fn other_chain_or_older_node_conflicts() {
        let baked = certificate();
        let genesis = baked.chains[&Chain::Parachain].genesis.clone();
        let mut longer = baked.clone();
        longer
            .chains
            .entry(Chain::Parachain)
            .and_modify(|chain| chain.node = "1.25.1.0".to_owned());
        assert_eq!(node_conflict(&longer, &node("t0rn", &genesis, "1.25.1")), None);
        let cases = [
            (node("t0rn", &genesis, "1.25.1-0"), None),
            (node("t0rn", &genesis, "1.26.0-beta"), None),
            (node("t0rn", &genesis, "unknown"), None),
            (node("t0rn", &genesis, "1.25.1.0"), None),
            (node("t0rn", &genesis, "1.25.0-0"), Some(Conflict::NewerNode)),
            (node("t0rn", &genesis, "1.9.9"), Some(Conflict::NewerNode)),
            (node("other", &genesis, "1.25.1-0"), Some(Conflict::Chain)),
            (node("t0rn", &"0".repeat(64), "1.25.1-0"), Some(Conflict::Chain)),
            (BTreeMap::new(), None),
        ];
        for (nodes, expected) in cases {
            assert_eq!(node_conflict(&baked, &nodes), expected, "{nodes:?}");
        }
    }

    #[test]
    fn other_database_in_command_or_on_disk_conflicts() {
        let (baked, dir) = (certificate(), tempfile::tempdir().unwrap());
        let command = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        let conflict = |line: &str| database_conflict(&baked, dir.path(), &command(line));
        assert_eq!(conflict(""), Some(Conflict::Database), "the chain's directory is gone");
        std::fs::create_dir_all(dir.path().join("chains/t0rn")).unwrap();
        assert_eq!(conflict("--database rocksdb"), None);
        assert_eq!(conflict("--database auto"), None);
        assert_eq!(conflict("-- --database paritydb"), None, "the relay chain is not in it");
        for asks in [
            "--database=paritydb",
            "--db paritydb",
            "--database ParityDb",
            "--db=PARITYDB",
        ] {
            assert_eq!(conflict(asks), Some(Conflict::Database), "{asks}");
        }
        let root = dir.path().join("chains/t0rn");
        std::fs::create_dir_all(root.join("paritydb/full")).unwrap();
        assert_eq!(conflict(""), Some(Conflict::Database));
        std::fs::create_dir_all(root.join("db/full")).unwrap();
        assert_eq!(conflict(""), None);
    }
}
