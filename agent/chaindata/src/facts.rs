//! What is known of chain data, and what speaks against putting other data in its place.

use std::collections::BTreeMap;
use std::path::Path;

use super::format::ChainFacts;
use crate::databases;
use crate::survey::Survey;
use crate::{certificate, conflict};

/// What is known of each chain, by its directory.
pub type Facts = BTreeMap<String, ChainFacts>;

/// What a running node told: by the id of its chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    pub genesis: Option<String>,
    pub best: Option<u64>,
    pub finalized: Option<u64>,
    pub node: Option<String>,
}

/// What the disk, the certificate of a bake, and the running nodes tell of the data below `root`.
pub(super) fn facts(root: &Path, survey: &Survey, told: &BTreeMap<String, Told>) -> Facts {
    let (certificate, versions) = (certificate::read(root).ok(), databases::versions(root));
    let chains = survey.chains.iter().filter_map(|chain| {
        let database = *chain.databases.first()?;
        let path = chain.path.display().to_string();
        let told = told.get(&chain.id).cloned().unwrap_or_default();
        let baked = certificate
            .as_ref()
            .and_then(|c| c.chains.values().find(|baked| baked.id == chain.id));
        let facts = ChainFacts {
            id: chain.id.clone(),
            genesis: told.genesis.or_else(|| baked.map(|baked| baked.genesis.clone())),
            database,
            versions: versions
                .iter()
                .filter_map(|(file, version)| {
                    let file = Path::new(file).strip_prefix(&chain.path).ok()?;
                    Some((file.display().to_string(), version.clone()))
                })
                .collect(),
            best: told.best,
            finalized: told.finalized,
            node: told.node.or_else(|| baked.map(|baked| baked.node.clone())),
        };
        Some((path, facts))
    });
    chains.collect()
}

/// Where a collator keeps the parachain and the relay chain, unless it is told otherwise.
const USUAL: [&str; 2] = ["chains", "polkadot/chains"];

/// Why `new` may not take the place of `present`; `None` when nothing speaks against it, also where too little is known.
pub(super) fn conflict(present: &Facts, new: &Facts) -> Option<String> {
    if new.is_empty() {
        return Some("it holds no database of a chain (chains/ID/db/full or chains/ID/paritydb/full)".to_owned());
    }
    let is_known =
        |path: &&String| USUAL.contains(&place(path)) || present.keys().any(|here| place(here) == place(path));
    if let Some(path) = new.keys().next().filter(|_| !new.keys().any(|path| is_known(&path))) {
        let ahead = Path::new(place(path)).components().count() - 1;
        return Some(format!(
            "it has {path}, and a node looks for it in chains/ID: take leading directories of an archive off with \
             --strip {ahead}"
        ));
    }
    new.iter().find_map(|(path, new)| {
        let same = present.get(path);
        if let Some((other, _)) = present
            .iter()
            .find(|(other, _)| same.is_none() && place(other) == place(path))
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
        let numbers = |node: &Option<String>| node.as_deref().and_then(conflict::numbers);
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

/// Where chains lie, without their ids.
fn place(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Database;
    use agent_core::event::Versions;

    fn chain(path: &str, change: impl FnOnce(&mut ChainFacts)) -> Facts {
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
    fn another_chain_and_a_newer_database_are_refused_and_what_is_unknown_is_not() {
        let present = chain("chains/t0rn", |_| {});
        let refused = |new: &Facts| conflict(&present, new).unwrap_or_default();
        assert_eq!(conflict(&present, &present), None);
        assert_eq!(conflict(&Facts::new(), &present), None);
        assert!(refused(&Facts::new()).contains("no database"));
        assert!(refused(&chain("chains/other", |_| {})).contains("another chain"));
        assert!(refused(&chain("chains/t0rn", |c| c.genesis = Some("b".repeat(64)))).contains("another chain"));
        assert!(refused(&chain("chains/t0rn", |c| version(c, "5"))).contains("newer database"));
        assert!(refused(&chain("chains/t0rn", |c| c.node = Some("1.26.0".to_owned()))).contains("newer node"));
        assert_eq!(conflict(&present, &chain("chains/t0rn", |c| version(c, "3"))), None);
        assert_eq!(conflict(&present, &chain("chains/t0rn", |c| c.genesis = None)), None);
        let led = chain("snap/chains/t0rn", |_| {});
        assert!(refused(&led).contains("--strip 1"));
        assert!(conflict(&Facts::new(), &led).is_some());
        assert_eq!(conflict(&led, &led), None, "a base path of the node's own");
        assert_eq!(
            conflict(&present, &chain("polkadot/chains/rococo", |_| {})),
            None,
            "a base that is not there yet"
        );
    }
}
