//! Other containers on the data directory: there must be none when ours is started.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, MountPoint};
use bollard::query_parameters::{ListContainersOptions, ListContainersOptionsBuilder};
use tracing::warn;

use crate::inspection::is_ours;
use crate::{Docker, Error};

impl Docker {
    /// Makes sure that no other container has the data directory: leftovers of ours go, others are reported.
    pub(super) async fn evict_others(&self) -> Result<(), Error> {
        let spec = &self.spec;
        let Some(all) = self.possible_conflicts().await? else {
            return Ok(());
        };
        let real = self.real_paths(&all).await;
        for other in all {
            let name = other
                .names
                .as_ref()
                .and_then(|names| names.first())
                .map_or("", |name| name.trim_start_matches('/'));
            let mounts = other.mounts.as_deref().unwrap_or_default();
            if name == spec.name() {
                continue;
            }
            let ours = other.labels.as_ref().is_some_and(is_ours);
            let id = other.id.as_deref().unwrap_or(name);
            if ours && shares(mounts, &spec.data.path, &real) {
                warn!(container = name, data = %spec.data.path.display(), "leftover on the data directory, removing it");
                self.halt(id).await?;
                self.remove(id, false).await?;
                continue;
            }
            let idle = matches!(
                other.state,
                Some(
                    ContainerSummaryStateEnum::CREATED
                        | ContainerSummaryStateEnum::EXITED
                        | ContainerSummaryStateEnum::DEAD
                )
            );
            if !idle && let Some(path) = spec.exclusive().find(|path| shares(mounts, path, &real)) {
                return Err(Error::Occupied {
                    name: name.to_owned(),
                    path: path.display().to_string(),
                });
            }
        }
        Ok(())
    }

    /// Names of all other containers, running or not, that can write to the data directory.
    ///
    /// Fails when the engine does not answer.
    pub async fn others_on_data(&self) -> Result<Vec<String>, Error> {
        let all = self.all_containers().await?;
        let real = self.real_paths(&all).await;
        let spec = &self.spec;
        let names = all
            .iter()
            .filter(|other| shares(other.mounts.as_deref().unwrap_or_default(), &spec.data.path, &real));
        let names = names.filter_map(|other| other.names.as_ref()?.first());
        let names = names.map(|name| name.trim_start_matches('/').to_owned());
        Ok(names.filter(|name| name != spec.name()).collect())
    }

    async fn all_containers(&self) -> Result<Vec<ContainerSummary>, Error> {
        self.containers(ListContainersOptionsBuilder::default().all(true).build())
            .await
    }

    /// The containers to examine before a start. One that Docker cannot describe makes it refuse the list of all, so
    /// then only those are asked for that have one of our directories. `None` when that is refused too, and nothing but
    /// the chain data is at stake: the node's own lock on its database keeps a second one out.
    ///
    /// Fails when the engine does not answer, and when keys are at stake and it is unknown who else has them.
    async fn possible_conflicts(&self) -> Result<Option<Vec<ContainerSummary>>, Error> {
        let error = match self.all_containers().await {
            Err(error @ (Error::Api { .. } | Error::Busy { .. })) => error,
            answer => return answer.map(Some),
        };
        let names = self.real_paths(&[]).await;
        let paths = self.spec.exclusive().map(Path::to_owned).chain(names.into_values());
        let paths: BTreeSet<String> = paths.map(|path| path.display().to_string()).collect();
        warn!(%error, ?paths, "docker cannot list the containers, asking for those on our directories only");
        let filters = HashMap::from([("volume", paths.into_iter().collect::<Vec<_>>())]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        match self.containers(options).await {
            Err(error @ (Error::Api { .. } | Error::Busy { .. })) if self.spec.exclusive().nth(1).is_none() => {
                warn!(%error, "docker cannot list those either, going on: the database has a lock of its own");
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }

    async fn containers(&self, options: ListContainersOptions) -> Result<Vec<ContainerSummary>, Error> {
        let engine = self.engine().await?;
        let listed = engine.list_containers(Some(options));
        self.within("list the containers", self.limits.call, listed).await
    }

    /// Where the links lead that other containers' directories and ours are named by. What cannot be told
    /// in time is left out: somebody else's dead network mount must not keep the collator down.
    async fn real_paths(&self, others: &[ContainerSummary]) -> HashMap<PathBuf, PathBuf> {
        let sources = others.iter().filter_map(|other| other.mounts.as_deref()).flatten();
        let sources = sources.filter_map(|mount| mount.source.as_deref()).map(PathBuf::from);
        let paths: Vec<PathBuf> = sources.chain(self.spec.exclusive().map(PathBuf::from)).collect();
        let resolve = move || {
            paths
                .into_iter()
                .filter_map(|path| Some((path.clone(), path.canonicalize().ok()?)))
                .collect()
        };
        let resolved = tokio::time::timeout(self.limits.call, tokio::task::spawn_blocking(resolve)).await;
        resolved.ok().and_then(Result::ok).unwrap_or_default()
    }
}

/// Whether one of `mounts` can write to `path`, by any of its names.
fn shares(mounts: &[MountPoint], path: &Path, real: &HashMap<PathBuf, PathBuf>) -> bool {
    let real = |path: &Path| real.get(path).cloned().unwrap_or_else(|| PathBuf::from(path));
    mounts
        .iter()
        .filter(|mount| mount.rw != Some(false))
        .filter_map(|mount| mount.source.as_deref())
        .any(|source| real(Path::new(source)) == real(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_shared_under_any_of_its_names_but_not_read_only() {
        let real = HashMap::from([(PathBuf::from("/link"), PathBuf::from("/data"))]);
        let shared = |source: &str, rw| {
            let mount = MountPoint {
                source: Some(source.to_owned()),
                rw: Some(rw),
                ..MountPoint::default()
            };
            shares(&[mount], Path::new("/data"), &real)
        };
        assert!(shared("/data", true));
        assert!(shared("/link", true));
        assert!(!shared("/data", false));
        assert!(!shared("/", true));
    }
}
