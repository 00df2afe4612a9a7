//! Whether what runs is what was baked: compared before it starts and with every page.

use std::collections::BTreeMap;
use std::path::Path;

use crate::certificate::Certificate;
use crate::layout::Database;
use agent_core::event::{Chain, Conflict};
use agent_core::published::Node;

/// What speaks against running on the baked data; `None` also while too little is known.
pub fn conflict(certificate: &Certificate, nodes: &BTreeMap<Chain, Node>) -> Option<Conflict> {
    certificate.chains.iter().find_map(|(name, baked)| {
        let node = nodes.get(name)?;
        let other = |told: &Option<String>, baked: &str| told.as_deref().is_some_and(|told| told != baked);
        if other(&node.genesis, &baked.genesis) || other(&node.chain_id, &baked.id) {
            return Some(Conflict::Chain);
        }
        let older = numbers(node.version.as_deref()?)? < numbers(&baked.node)?;
        older.then_some(Conflict::NewerNode)
    })
}

/// What can be told before the node runs: the database that was baked is gone, not what is there, or not what
/// `command` asks for.
///
/// This blocks on the disk.
pub fn database(certificate: &Certificate, data: &Path, command: &[String]) -> Option<Conflict> {
    let mut sides = command.split(|word| word == "--");
    let (own, relay) = (sides.next().unwrap_or_default(), sides.next().unwrap_or_default());
    certificate.chains.iter().find_map(|(name, baked)| {
        let words = if *name == Chain::Parachain { own } else { relay };
        let asked = asked(words).is_some_and(|asked| asked != baked.database);
        let root = data.join(&baked.path);
        let is_there = |database: Database| root.join(database.dir()).is_dir();
        let others = Database::ALL
            .iter()
            .any(|database| *database != baked.database && is_there(*database));
        (asked || !root.is_dir() || (others && !is_there(baked.database))).then_some(Conflict::Database)
    })
}

/// The database that a command line names; `None` where the node chooses.
fn asked(words: &[String]) -> Option<Database> {
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

/// The numbers of a version such as `1.25.1-0a1b2c`, without what follows them and without zeros at the end.
/// `None` when they are none, which compares with nothing.
pub fn numbers(version: &str) -> Option<Vec<u64>> {
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

    fn node(chain_id: &str, genesis: &str, version: &str) -> BTreeMap<Chain, Node> {
        let node = Node {
            chain_id: Some(chain_id.to_owned()),
            genesis: Some(genesis.to_owned()),
            version: Some(version.to_owned()),
            roles: None,
        };
        BTreeMap::from([(Chain::Parachain, node)])
    }

    #[test]
    fn another_chain_and_an_older_node_are_told_and_nothing_else() {
        let baked = certificate();
        let genesis = baked.chains[&Chain::Parachain].genesis.clone();
        let mut longer = baked.clone();
        longer
            .chains
            .entry(Chain::Parachain)
            .and_modify(|chain| chain.node = "1.25.1.0".to_owned());
        assert_eq!(conflict(&longer, &node("t0rn", &genesis, "1.25.1")), None);
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
            assert_eq!(conflict(&baked, &nodes), expected, "{nodes:?}");
        }
    }

    #[test]
    fn another_database_is_told_from_the_command_and_from_the_disk() {
        let (baked, dir) = (certificate(), tempfile::tempdir().unwrap());
        let command = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        let conflict = |line: &str| database(&baked, dir.path(), &command(line));
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
