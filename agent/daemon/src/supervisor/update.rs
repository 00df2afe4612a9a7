//! The shell's part of an update: the pull, the image in force, and what the status tells.

use std::time::Duration;

use tracing::{error, info, warn};

use super::clock::Clock;
use super::rounds::Look;
use super::{Supervisor, actions};
use agent_config::Config;
use agent_core::event::{Command, Event, Images};
use agent_core::machine::{Action, Machine, UpdateResult};
use agent_core::status;
use agent_docker::Docker;
use agent_net::backoff::jitter;

impl Supervisor {
    /// Docker is to run what the core says.
    pub(super) fn adopt_image(&mut self) {
        let image = self.machine.image();
        if image == self.image.as_ref() {
            return;
        }
        if let Err(error) = self.docker.use_image(image) {
            error!(%error, "the image of the update cannot be used");
        }
        self.image = image.cloned();
    }

    /// The operator's last word counts.
    pub(super) fn say_which_image(&self) {
        let configured = &self.config.collator.image;
        if let Some(image) = self.machine.image() {
            info!(image = image.reference, configured, "an update is in force");
        } else if let Some(past) = self.machine.past_updates().next_back()
            && past.result.is_success()
            && past.image != *configured
        {
            info!(
                updated = past.image,
                configured, "the configuration wins over the last update"
            );
        }
    }

    /// Why a command is not even shown to the core.
    pub(super) fn declines(&self, command: &Command) -> Option<String> {
        if self.baked.copying
            && matches!(
                command,
                Command::Start | Command::Restart { .. } | Command::Update { .. }
            )
        {
            return Some(
                "a snapshot or a restore is at work on the data, and starts the collator when it is done".to_owned(),
            );
        }
        let unsaved = self
            .facts
            .unsaved
            .as_ref()
            .filter(|_| matches!(command, Command::Update { .. }))?;
        Some(format!("an update that is interrupted would be forgotten: {unsaved}"))
    }

    /// An update changes nothing that is not on disk first.
    pub(super) fn is_unsafe(&self, action: &Action) -> Option<String> {
        let forward = matches!(action, Action::Stop { .. } | Action::Start { .. })
            && action.cause() == agent_core::machine::Cause::Update;
        self.facts.unsaved.clone().filter(|_| forward)
    }

    /// Has the image, beside the loop.
    pub(super) fn pull(&self, image: String) {
        let (docker, looks) = (self.docker.clone(), self.looks.clone());
        tokio::spawn(async move {
            let result = docker.fetch(&image).await.map_err(|error| actions::chain(&error));
            // Nobody to tell when the agent stops.
            let _ = looks.send(Look::Pulled { image, result }).await;
        });
    }

    /// What came of a pull, unless it belongs to an update that was given up.
    pub(super) fn on_pulled(&self, image: &str, result: Result<Images, String>) -> Option<Event> {
        match &result {
            Ok(images) => info!(image, pin = images.to.pin, "the image is here"),
            Err(error) => warn!(image, error, "the image cannot be had"),
        }
        let awaited = self.machine.update().is_some_and(|update| update.image == image);
        awaited.then_some(Event::Pulled(result))
    }

    /// An update is over.
    pub(super) fn on_updated(&mut self, result: UpdateResult) {
        let why = self.machine.explain(result.cause());
        info!(result = result.name(), why, "update");
        self.tally.update(result);
        self.note_images();
        self.prune_images();
    }

    /// The registry has another image under the name that runs.
    pub(super) fn on_newer(&self, image: String, digest: &str) -> Option<Event> {
        if !self.machine.may_update_to(digest) || self.facts.unsaved.is_some() {
            return None;
        }
        info!(image, digest, "the registry has a new image");
        Some(Event::Operator(Command::Update { image, automatic: true }))
    }

    /// Asks the registry now and then, when that is wanted.
    pub(super) fn start_asking(&mut self) {
        if !self.config.update.auto {
            return;
        }
        let (docker, looks, every) = (self.docker.clone(), self.looks.clone(), self.config.update.check_every);
        self.rounds.push(tokio::spawn(async move {
            loop {
                // Many agents do not ask one registry in step.
                tokio::time::sleep(jitter(every)).await;
                if let Some((image, digest)) = newer(&docker).await
                    && looks.send(Look::Newer { image, digest }).await.is_err()
                {
                    return;
                }
            }
        }));
    }
}

/// The image that runs, by name, and the digest of another one that the registry has under it.
async fn newer(docker: &Docker) -> Option<(String, String)> {
    let detail = docker.inspect().await.ok()?.detail?;
    let digest = match docker.newest_digest(&detail.image).await {
        Ok(digest) => digest?,
        Err(error) => {
            warn!(%error, "the registry was asked for a new image in vain");
            return None;
        }
    };
    // Without a digest it did not come from a registry.
    let (_, runs) = detail.pin.split_once('@')?;
    (runs != digest).then_some((detail.image, digest))
}

/// The update under way, or else the last one; `None` when there never was one.
pub(super) fn status(machine: &Machine, config: &Config, clock: &Clock) -> Option<status::Update> {
    let seconds = |left: Duration| left.as_secs();
    let configured = machine
        .image()
        .filter(|image| image.reference != config.collator.image)
        .map(|_| config.collator.image.clone());
    if let Some(update) = machine.update() {
        return Some(status::Update {
            image: Some(update.image.to_owned()),
            from: update.images.map(|images| images.from.reference.clone()),
            step: Some(update.step.name().to_owned()),
            ends_in_seconds: update.left.map(seconds),
            result: None,
            reason: update.reason.map(str::to_owned),
            at: Some(clock.wall(update.began)),
            configured,
        });
    }
    let past = machine.past_updates().next_back()?;
    Some(status::Update {
        image: Some(past.image.clone()),
        from: past.images.as_ref().map(|images| images.from.reference.clone()),
        step: None,
        ends_in_seconds: None,
        result: Some(past.result.name().to_owned()),
        reason: past.reason.clone(),
        at: Some(clock.wall(past.ended)),
        configured,
    })
}
