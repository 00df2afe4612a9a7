//! Other containers with the collator's files: there must be none when ours is started, nor while it runs.

mod mounts;
mod places;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use agent_runtime::disk::{self, Disk};
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, MountPoint};
use bollard::query_parameters::{ListContainersOptions, ListContainersOptionsBuilder};
use tracing::warn;

use self::places::{Overlap, Places};
use crate::inspection::{is_agent, is_ours};
use crate::spec::Exclusive;
use crate::{Docker, Error};

impl Docker {
    /// Makes sure that no other container has the data directory or the keys: leftovers of ours go, others are reported.
    pub(super) async fn evict_others(&self) -> Result<(), Error> {
        let spec = &self.spec;
        let Some(all) = self.possible_conflicts().await? else {
            return Ok(());
        };
        let places = self.places(&all).await;
        for other in &all {
            let name = name(other);
            if name == spec.name() {
                continue;
            }
            let ours = other.labels.as_ref().is_some_and(is_ours);
            let id = other.id.as_deref().unwrap_or(name);
            let data = spec.exclusive().next().filter(|data| shares(other, data, &places));
            if ours && data.is_some() {
                warn!(container = name, data = %spec.data.path.display(), "leftover on the data directory, removing it");
                self.halt_in(id, spec.stop_seconds()).await?;
                self.remove(id, false).await?;
                continue;
            }
            if let Some(place) = self.shared_place(other, &places) {
                return Err(Error::Occupied {
                    name: name.to_owned(),
                    path: place.path.display().to_string(),
                });
            }
        }
        Ok(())
    }

    /// Which running container other than ours has the keys or writes to the data, and where; `None` is none.
    ///
    /// Fails when the engine does not answer or cannot describe its containers.
    pub async fn sharer(&self) -> Result<Option<String>, Error> {
        let mut sharers = self.sharers().await?.into_iter();
        let other = sharers.find(|(name, _)| name != self.spec.name());
        Ok(other.map(|(name, place)| format!("{name} has {}", place.display())))
    }

    /// Names of all running containers that have the keys or write to the data, and where. Ours is among them, by the configured name
    /// also when it was renamed.
    ///
    /// Fails when the engine does not answer or cannot describe its containers.
    pub async fn sharers(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        let all = self.all_containers().await?;
        let places = self.places(&all).await;
        let reference = self.reference();
        let sharers = all.iter().filter_map(|other| {
            let place = self.shared_place(other, &places)?;
            let own = other.id.as_ref() == Some(&reference);
            let name = if own { self.spec.name() } else { name(other) };
            Some((name.to_owned(), place.path.to_owned()))
        });
        Ok(sharers.collect())
    }

    /// Names of all other containers, running or not, that can write to the data directory.
    ///
    /// Fails when the engine does not answer.
    pub async fn others_on_data(&self) -> Result<Vec<String>, Error> {
        let mut names = self.containers_on_data().await?;
        names.retain(|name| name != self.spec.name());
        Ok(names)
    }

    /// Names of all containers, running or not, that can write to the data directory.
    ///
    /// Fails when the engine does not answer.
    pub async fn containers_on_data(&self) -> Result<Vec<String>, Error> {
        let all = self.all_containers().await?;
        let places = self.places(&all).await;
        let on_data =
            |other: &&ContainerSummary| self.spec.exclusive().take(1).any(|data| shares(other, &data, &places));
        Ok(all.iter().filter(on_data).map(name).map(str::to_owned).collect())
    }

    /// Which of our places a container has that is at work.
    fn shared_place(&self, other: &ContainerSummary, places: &Places) -> Option<Exclusive<'_>> {
        let idle = matches!(
            other.state,
            Some(
                ContainerSummaryStateEnum::CREATED
                    | ContainerSummaryStateEnum::EXITED
                    | ContainerSummaryStateEnum::DEAD
            )
        );
        self.spec
            .exclusive()
            .find(|place| !idle && shares(other, place, places))
    }

    pub(crate) async fn all_containers(&self) -> Result<Vec<ContainerSummary>, Error> {
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
        let places = self.places(&[]).await;
        let paths = self.spec.exclusive().map(|place| place.path.to_owned());
        let paths: BTreeSet<String> = paths
            .flat_map(|path| [places.real(&path), path])
            .map(|path| path.display().to_string())
            .collect();
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

    pub(crate) async fn containers(&self, options: ListContainersOptions) -> Result<Vec<ContainerSummary>, Error> {
        let engine = self.engine().await?;
        let listed = engine.list_containers(Some(options));
        self.within("list the containers", self.limits.call, listed).await
    }

    /// Where other containers' directories and ours lie. What cannot be found in time is compared by its name: a
    /// foreign dead network mount must not keep the collator down.
    async fn places(&self, others: &[ContainerSummary]) -> Places {
        let sources = others.iter().filter_map(|other| other.mounts.as_deref()).flatten();
        let sources = sources.filter_map(|mount| mount.source.as_deref()).map(PathBuf::from);
        let paths: Vec<PathBuf> = sources
            .chain(self.spec.exclusive().map(|place| place.path.to_owned()))
            .collect();
        disk::run(Disk::Foreign, move || Places::locate(paths))
            .await
            .unwrap_or_default()
    }
}

pub(crate) fn name(container: &ContainerSummary) -> &str {
    let names = container.names.as_ref().and_then(|names| names.first());
    names.map_or("", |name| name.trim_start_matches('/'))
}

/// Whether a container has `ours`: keys in any way, since reading them is enough to sign, the data so that it can write.
/// Tools that watch the host mount all of it; those count where they can write. An agent in a container signs nothing.
fn shares(other: &ContainerSummary, ours: &Exclusive<'_>, places: &Places) -> bool {
    if other.labels.as_ref().is_some_and(is_agent) {
        return false;
    }
    let has = |mount: &MountPoint| {
        let writes = mount.rw != Some(false);
        // The list names no source of an anonymous volume, which no other container has.
        let source = mount
            .source
            .as_deref()
            .map(Path::new)
            .filter(|source| source.is_absolute())?;
        Some(match places.overlap(source, ours.path)? {
            Overlap::Root => writes,
            Overlap::Part => writes || ours.is_key,
        })
    };
    let mut mounts = other.mounts.as_deref().unwrap_or_default().iter();
    mounts.any(|mount| has(mount) == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(source: &str, rw: bool, is_key: bool) -> bool {
        shared_by(source, rw, is_key, &[])
    }

    fn shared_by(source: &str, rw: bool, is_key: bool, labels: &[(&str, &str)]) -> bool {
        let mount = MountPoint {
            source: Some(source.to_owned()),
            rw: Some(rw),
            ..MountPoint::default()
        };
        let other = ContainerSummary {
            mounts: Some(vec![mount]),
            labels: Some(labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            ..ContainerSummary::default()
        };
        let path = Path::new("/srv/t0rn/keystore");
        shares(&other, &Exclusive { path, is_key }, &Places::default())
    }

    #[test]
    fn keys_are_shared_in_any_mode_and_data_only_to_write() {
        for source in ["/srv/t0rn/keystore", "/srv/t0rn", "/srv/t0rn/keystore/a"] {
            assert!(shared(source, true, false), "{source}");
            assert!(!shared(source, false, false), "{source}");
            assert!(shared(source, false, true), "{source}");
        }
        assert!(!shared("/srv/t0rn/keystore2", true, true));
        assert!(!shared("/srv/other", true, true));
    }

    #[test]
    fn container_of_an_agent_shares_nothing() {
        assert!(!shared_by(
            "/srv/t0rn/keystore",
            true,
            true,
            &[("t0rn-agent.agent", "true")]
        ));
        assert!(shared_by(
            "/srv/t0rn/keystore",
            true,
            true,
            &[("t0rn-agent.agent", "false")]
        ));
    }

    #[test]
    fn an_anonymous_volume_is_nothing_of_ours() {
        assert!(!shared("", true, true));
    }

    #[test]
    fn a_tool_that_reads_the_whole_host_shares_nothing() {
        assert!(!shared("/", false, true));
        assert!(shared("/", true, true));
    }
}
