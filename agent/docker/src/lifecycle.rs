//! Making the container what the configuration asks for, and stopping it.
//!
//! Nothing is remembered between two steps: every step looks at what Docker has and takes the next one
//! towards the goal, so that it makes no difference where an earlier attempt was dropped or killed. There
//! is only ever one name, and a container is started only when no other has the data directory:
//! stop the old one, remove it, create, look for others, start.

use std::sync::atomic::Ordering;
use std::time::Duration;

use agent_core::machine::STOP_MARGIN;
use agent_core::units::show_duration;
use bollard::models::ContainerStateStatusEnum as Status;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use tracing::{info, warn};

use self::start_fault::{StartFault, classify};
use super::inspection::{InspectedContainer, Inspection};
use super::{Docker, Error, ImageFault, KeyPermit};

pub(crate) mod conflicting_containers;
mod lost_task;
mod stale_endpoint;
mod start_fault;

/// Steps to a running container: at most eight, the rest is for waiting, and for others interfering.
const STEPS: usize = 240;
/// After a step that changed nothing: Docker still works on what an earlier, dropped attempt asked for.
pub(crate) const SETTLE: Duration = Duration::from_millis(250);

impl Docker {
    /// Brings the container to running as this handle asks for it, and says what it is like then.
    ///
    /// One that runs with that spec is not touched. One with another spec is stopped cleanly and replaced,
    /// once everything that the new one needs is known to be there; its data stays. Missing images are
    /// pulled as `collator.pull` says, one attempt a call. Safe to call again at any time, to drop half
    /// way, and to be killed in; not to be run at the same time as [`Self::stop`].
    ///
    /// With keys, nothing is created, started or thawed unless `permit` allows it at that moment.
    ///
    /// A container that has already ended again is no error: the inspection says so.
    pub async fn ensure_running(&self, permit: &KeyPermit) -> Result<Inspection, Error> {
        let spec = &self.spec;
        let mut image = None;
        let (mut created, mut endpoint_freed) = (false, false);
        let mut before = None;
        for _ in 0..STEPS {
            let found = self.find().await?;
            let now = Some(found.as_ref().map(|found| (found.id.clone(), found.status)));
            if before == now {
                tokio::time::sleep(SETTLE).await;
            }
            before = now;
            let Some(found) = found else {
                let image = match &image {
                    Some(image) => image,
                    None => image.insert(self.requirements().await?),
                };
                self.create(image, permit).await?;
                created = true;
                continue;
            };
            if !found.ours {
                return Err(self.foreign());
            }
            // One that was changed from outside runs on as it is, and is made anew before its next run.
            let matches = found.spec_matches && (found.is_running() || found.detail.altered.is_none());
            if !matches && found.status != Status::REMOVING && image.is_none() {
                image = Some(self.requirements().await?);
            }
            match found.status {
                Status::REMOVING => {}
                Status::DEAD => self.remove(&found.id, true).await?,
                _ if !matches => {
                    info!(
                        container = spec.name(),
                        from = found.detail.spec,
                        to = spec.hash,
                        "spec changed, replacing"
                    );
                    self.halt(&found, self.spec.stop_seconds()).await?;
                    self.remove(&found.id, false).await?;
                }
                Status::RUNNING | Status::STOPPING => return self.inspection(found).await,
                Status::PAUSED => {
                    self.require_permit(permit)?;
                    let engine = self.engine().await?;
                    let unpaused = engine.unpause_container(&found.id);
                    self.within("unpause the container", self.limits.change, unpaused)
                        .await?;
                }
                // Docker waits up to a minute before its next attempt; stopping ends the wait.
                Status::RESTARTING => self.halt(&found, self.spec.stop_seconds()).await?,
                Status::CREATED | Status::EXITED | Status::EMPTY => {
                    self.prepare_paths_again().await?;
                    self.evict_others().await?;
                    match self.start(&found.id, permit).await {
                        Ok(()) => return self.inspect().await,
                        Err(error) if error.status() == Some(404) && self.find().await?.is_none() => {}
                        Err(error) if !endpoint_freed && let Some(network) = stale_endpoint::network(&error) => {
                            self.free_endpoint(&found.id, &network).await?;
                            endpoint_freed = true;
                        }
                        Err(error) => self.after_failed_start(&found, error, created).await?,
                    }
                }
            }
        }
        Err(Error::Api {
            action: "start the container",
            status: None,
            reason: format!(
                "something else keeps changing {}; is a second agent running?",
                spec.name()
            ),
        })
    }

    /// Stops the container: SIGTERM, `collator.stop_timeout`, SIGKILL. Docker's own restart policy leaves it
    /// stopped as well. `Ok` when it is stopped already or does not exist.
    pub async fn stop(&self) -> Result<Inspection, Error> {
        self.stop_in(self.spec.stop_seconds()).await
    }

    /// As [`Self::stop`], with SIGKILL after `time` (whole seconds of it, at least one) instead of
    /// `collator.stop_timeout`.
    pub async fn stop_within(&self, time: Duration) -> Result<Inspection, Error> {
        let seconds = i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
        self.stop_in(seconds.max(1)).await
    }

    async fn stop_in(&self, seconds: i32) -> Result<Inspection, Error> {
        if let Some(found) = self.find().await? {
            if !found.ours {
                return Err(self.foreign());
            }
            self.halt(&found, seconds).await?;
        }
        self.inspect().await
    }

    /// Removes a container of which Docker missed the end, so that it lists that run for ever although it reports the stop, or
    /// that it got no exit event: containerd was killed at the same time.
    ///
    /// # Errors
    /// A process of it goes on.
    async fn remove_lost(&self, before: &InspectedContainer) -> Result<(), Error> {
        let run = |found: &InspectedContainer| (found.id.clone(), found.started_at);
        let now = self.find().await?;
        if !now.is_some_and(|now| now.is_running() && run(&now) == run(before)) {
            return Ok(());
        }
        if let Some(process) = lost_task::process_of(&before.id).await {
            return Err(Error::LostTask { process });
        }
        warn!(
            container = self.spec.name(),
            "docker lists it as running after its stop, and it has no process: removing it"
        );
        self.remove(&before.id, true).await
    }

    /// Removes the container, stopped first if need be; the image stays. `Ok` when there is none.
    pub async fn discard(&self) -> Result<(), Error> {
        match self.find().await? {
            Some(found) if !found.ours => Err(self.foreign()),
            Some(found) => {
                self.halt(&found, self.spec.stop_seconds()).await?;
                self.remove(&found.id, false).await
            }
            None => Ok(()),
        }
    }

    pub async fn restart(&self, permit: &KeyPermit) -> Result<Inspection, Error> {
        self.stop().await?;
        self.ensure_running(permit).await
    }

    /// Everything that could refuse the new container, asked before the old one is given up. Returns the
    /// image to create it from.
    async fn requirements(&self) -> Result<String, Error> {
        self.require_network().await?;
        self.prepare_paths().await?;
        self.resolve_image().await
    }

    pub(super) async fn require_network(&self) -> Result<(), Error> {
        let spec = &self.spec;
        let Some(name) = spec.network() else {
            return Ok(());
        };
        let engine = self.engine().await?;
        match self
            .within(
                "inspect the network",
                self.limits.call,
                engine.inspect_network(name, None),
            )
            .await
        {
            Err(error) if error.status() == Some(404) => Err(Error::Network { name: name.to_owned() }),
            answer => answer.map(drop),
        }
    }

    async fn create(&self, image: &str, permit: &KeyPermit) -> Result<(), Error> {
        let spec = &self.spec;
        let options = CreateContainerOptionsBuilder::default().name(spec.name()).build();
        let engine = self.engine().await?;
        let mut body = spec.body(image)?;
        if self.shared.nofile_refused.load(Ordering::Relaxed)
            && let Some(host) = &mut body.host_config
        {
            host.ulimits = None;
        }
        self.require_permit(permit)?;
        let answer = engine.create_container(Some(options), body);
        match self.within("create the container", self.limits.change, answer).await {
            Ok(created) => {
                for warning in created.warnings {
                    warn!(container = spec.name(), warning, "docker warns");
                }
                info!(container = spec.name(), image, spec = spec.hash, "created");
                Ok(())
            }
            // The name is taken: by an earlier attempt, maybe not yet to be seen. The next look shows it.
            Err(error) if error.status() == Some(409) => Ok(()),
            Err(Error::Api {
                status: Some(404),
                reason,
                ..
            }) => Err(self.image_error(ImageFault::Pull(reason))),
            Err(error) => Err(error),
        }
    }

    async fn start(&self, id: &str, permit: &KeyPermit) -> Result<(), Error> {
        let engine = self.engine().await?;
        self.require_permit(permit)?;
        self.within(
            "start the container",
            self.limits.change,
            engine.start_container(id, None),
        )
        .await
    }

    /// Removes a container that cannot start because of what it refers to; a fresh one that cannot start
    /// either is not to blame.
    async fn after_failed_start(&self, found: &InspectedContainer, error: Error, fresh: bool) -> Result<(), Error> {
        let Error::Api { reason, .. } = &error else {
            return Err(error);
        };
        match classify(reason) {
            StartFault::Executable => Err(Error::Executable {
                image: self.spec.collator.image.clone(),
                reason: reason.clone(),
            }),
            StartFault::PortTaken => Err(Error::PortTaken { reason: reason.clone() }),
            StartFault::FileLimit if !self.shared.nofile_refused.swap(true, Ordering::Relaxed) => {
                warn!(
                    container = self.spec.name(),
                    nofile = self.spec.collator.nofile,
                    reason,
                    "docker may not give that many file descriptors, going on with its own limit: lower \
                     collator.nofile or raise LimitNOFILE of docker.service"
                );
                self.remove(&found.id, true).await
            }
            StartFault::FileLimit => Err(error),
            StartFault::TaskExists if let Some(process) = lost_task::process_of(&found.id).await => {
                Err(Error::LostTask { process })
            }
            StartFault::Broken | StartFault::TaskExists if fresh => Err(error),
            StartFault::Broken | StartFault::TaskExists => {
                self.requirements().await?;
                warn!(
                    container = self.spec.name(),
                    reason, "cannot be started any more, replacing it"
                );
                self.remove(&found.id, true).await
            }
        }
    }

    /// Stops our container, whatever it is doing.
    async fn halt(&self, found: &InspectedContainer, seconds: i32) -> Result<(), Error> {
        match self.halt_in(&found.id, seconds).await {
            Err(Error::Api {
                action,
                status: status @ Some(500),
                reason,
            }) => {
                // Of a process that is gone, Docker waits for an end that it has missed.
                if let Some(process) = lost_task::process_of(&found.id).await {
                    let reason =
                        format!("{reason}; its process {process} goes on: in state D (`ps axl`), it waits for a disk");
                    return Err(Error::Api { action, status, reason });
                }
            }
            halted => halted?,
        }
        self.remove_lost(found).await
    }

    pub(super) async fn halt_in(&self, id: &str, seconds: i32) -> Result<(), Error> {
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        let limit = Duration::from_secs(u64::try_from(seconds).unwrap_or(0)) + STOP_MARGIN;
        let engine = self.engine().await?;
        // Docker thaws a paused container for the signal.
        let stopped = engine.stop_container(id, Some(options));
        match tokio::time::timeout(limit, stopped).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => match self.error("stop the container", error) {
                error if error.status() == Some(404) => Ok(()),
                error => Err(error),
            },
            Err(_) => Err(Error::Api {
                action: "stop the container",
                status: None,
                reason: format!(
                    "it still runs {} after SIGTERM, SIGKILL included; look for a process in state D with \
                     `ps axl`",
                    show_duration(limit)
                ),
            }),
        }
    }

    /// Removes a container. Anonymous volumes stay: they are data.
    async fn remove(&self, id: &str, force: bool) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::default().v(false).force(force).build();
        let engine = self.engine().await?;
        match self
            .within(
                "remove the container",
                self.limits.change,
                engine.remove_container(id, Some(options)),
            )
            .await
        {
            // Gone, or going: the next look shows it.
            Err(error) if matches!(error.status(), Some(404 | 409)) => Ok(()),
            done => done,
        }
    }

    /// What is said about a container of the configured name that is not ours.
    pub fn foreign(&self) -> Error {
        let spec = &self.spec;
        Error::Foreign {
            name: spec.name().to_owned(),
            data: spec.data.path.display().to_string(),
        }
    }
}
