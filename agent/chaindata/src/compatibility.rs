//! Facts about chain data, and whether a restore may replace the present data by other data.

use std::collections::BTreeMap;
use std::path::Path;

use agent_core::event::Versions;
use agent_files::Dir;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::certificate::{read_certificate_in, version_numbers};
use crate::database_versions::versions_in;
use crate::layout::Database;
use crate::survey::Survey;

/// Facts about one chain; `None` is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainFacts {
    pub id: String,
    pub genesis: Option<String>,
    pub database: Database,
    /// Format versions of its databases, by file below the chain's directory.
    #[serde(default)]
    pub versions: Versions,
    pub best: Option<u64>,
    pub finalized: Option<u64>,
    pub node: Option<String>,
}

/// Facts by the chain's directory, relative to the data directory.
pub type ChainFactsByDir = BTreeMap<String, ChainFacts>;

/// What a running node reports about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeReport {
    pub genesis: Option<String>,
    pub best: Option<u64>,
    pub finalized: Option<u64>,
    pub node: Option<String>,
}

/// Facts about the chains in `data`, from the disk, its certificate, and `nodes` by chain id. Blocks on the disk.
pub fn read_chain_facts(data: &Path, nodes: &BTreeMap<String, NodeReport>) -> anyhow::Result<ChainFactsByDir> {
    let data = Dir::open(data).with_context(|| format!("cannot read {}", data.display()))?;
    chain_facts(&data, &Survey::read(&data)?, nodes)
}

/// The same as [`read_chain_facts`], for data that was surveyed already.
pub(crate) fn chain_facts(
    root: &Dir,
    survey: &Survey,
    nodes: &BTreeMap<String, NodeReport>,
) -> anyhow::Result<ChainFactsByDir> {
    let (certificate, versions) = (read_certificate_in(root).ok(), versions_in(root)?);
    let chains = survey.chains.iter().filter_map(|chain| {
        let database = *chain.databases.first()?;
        let path = chain.path.display().to_string();
        let node = nodes.get(&chain.id).cloned().unwrap_or_default();
        let baked = certificate
            .as_ref()
            .and_then(|c| c.chains.values().find(|baked| baked.id == chain.id));
        let facts = ChainFacts {
            id: chain.id.clone(),
            genesis: node.genesis.or_else(|| baked.map(|baked| baked.genesis.clone())),
            database,
            versions: versions
                .iter()
                .filter_map(|(file, version)| {
                    let file = Path::new(file).strip_prefix(&chain.path).ok()?;
                    Some((file.display().to_string(), version.clone()))
                })
                .collect(),
            best: node.best,
            finalized: node.finalized,
            node: node.node.or_else(|| baked.map(|baked| baked.node.clone())),
        };
        Some((path, facts))
    });
    Ok(chains.collect())
}

/// Where a collator keeps the parachain and the relay chain by default.
const DEFAULT_PARENTS: [&str; 2] = ["chains", "polkadot/chains"];

/// Why `new` may not replace `present`; `None` when it may, also where too little is known.
pub(crate) fn incompatibility(present: &ChainFactsByDir, new: &ChainFactsByDir) -> Option<String> {
    if new.is_empty() {
        return Some("it holds no database of a chain (chains/ID/db/full or chains/ID/paritydb/full)".to_owned());
    }
    let is_known = |path: &&String| {
        DEFAULT_PARENTS.contains(&parent(path)) || present.keys().any(|here| parent(here) == parent(path))
    };
    if let Some(path) = new.keys().next().filter(|_| !new.keys().any(|path| is_known(&path))) {
        let ahead = Path::new(parent(path)).components().count() - 1;
        return Some(format!(
            "it has {path}, and a node looks for it in chains/ID: take leading directories of an archive off with \
             --strip {ahead}"
        ));
    }
    new.iter().find_map(|(path, new)| {
        let same = present.get(path);
        if let Some((other, _)) = present
            .iter()
            .find(|(other, _)| same.is_none() && parent(other) == parent(path))
        {
            return Some(format!(
                "it is another chain's: it has {path}, and the data directory has {other}; for another chain, \
                 name another data.path"
            ));
        }
        let now = same?;
        match (&now.genesis, &new.genesis) {
            (Some(now), Some(new)) if now != new => {
                return Some(format!(
                    "it is another chain's: {path} begins with the block {new}, and here it begins with {now}"
                ));
            }
            _ => {}
        }
        let newer = new.versions.iter().find_map(|(file, version)| {
            let here = now.versions.get(file)?;
            let (number, least) = (version.parse::<u32>().ok()?, here.parse::<u32>().ok()?);
            (number > least).then(|| {
                format!(
                    "{path} has a newer database: {file} says {version}, and here {here}; update collator.image first"
                )
            })
        });
        if newer.is_some() {
            return newer;
        }
        let numbers = |node: &Option<String>| node.as_deref().and_then(version_numbers);
        match (numbers(&now.node), numbers(&new.node)) {
            (Some(this), Some(that)) if that > this => Some(format!(
                "{path} was written by a newer node ({}, here {}); update collator.image first",
                new.node.as_deref().unwrap_or_default(),
                now.node.as_deref().unwrap_or_default()
            )),
            _ => None,
        }
    })
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(path: &str, change: impl FnOnce(&mut ChainFacts)) -> ChainFactsByDir {
        let mut facts = ChainFacts {
            id: path.rsplit('/').next().unwrap_or_default().to_owned(),
            genesis: Some("a".repeat(64)),
            database: Database::RocksDb,
            versions: Versions::from([("db/full/db_version".to_owned(), "4".to_owned())]),
            best: Some(10),
            finalized: None,
            node: Some("1.25.1-abc".to_owned()),
        };
        change(&mut facts);
        BTreeMap::from([(path.to_owned(), facts)])
    }

    fn version(chain: &mut ChainFacts, version: &str) {
        chain
            .versions
            .insert("db/full/db_version".to_owned(), version.to_owned());
    }

    #[test]
    fn other_chain_and_newer_database_refused_unknown_accepted() {
        let present = chain("chains/t0rn", |_| {});
        let refused = |new: &ChainFactsByDir| incompatibility(&present, new).unwrap_or_default();
        assert_eq!(incompatibility(&present, &present), None);
        assert_eq!(incompatibility(&ChainFactsByDir::new(), &present), None);
        assert!(refused(&ChainFactsByDir::new()).contains("no database"));
        assert!(refused(&chain("chains/other", |_| {})).contains("another chain"));
        assert!(refused(&chain("chains/t0rn", |c| c.genesis = Some("b".repeat(64)))).contains("another chain"));
        assert!(refused(&chain("chains/t0rn", |c| version(c, "5"))).contains("newer database"));
        assert!(refused(&chain("chains/t0rn", |c| c.node = Some("1.26.0".to_owned()))).contains("newer node"));
        assert_eq!(
            incompatibility(&present, &chain("chains/t0rn", |c| version(c, "3"))),
            None
        );
        assert_eq!(
            incompatibility(&present, &chain("chains/t0rn", |c| c.genesis = None)),
            None
        );
        let led = chain("snap/chains/t0rn", |_| {});
        assert!(refused(&led).contains("--strip 1"));
        assert!(incompatibility(&ChainFactsByDir::new(), &led).is_some());
        assert_eq!(incompatibility(&led, &led), None, "a base path of the node's own");
        assert_eq!(
            incompatibility(&present, &chain("polkadot/chains/rococo", |_| {})),
            None,
            "a base that is not there yet"
        );
    }
}
