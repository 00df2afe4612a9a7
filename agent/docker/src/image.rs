//! The image: found on this host or pulled, and pinned to what was found.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::errors::Error as EngineError;
use bollard::models::{CreateImageInfo, DistributionInspect, ImageInspect};
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use tracing::{info, warn};

use super::{Docker, Error, ImageFault, PulledImage};
use agent_config::{ImageReference, PullPolicy};
use agent_runtime::Instant;
use agent_runtime::disk::{self, Disk};

pub(crate) mod auth;
mod pull_error;
mod signature;
mod store;

#[cfg(any(test, fuzzing))]
pub(crate) use pull_error::classify;
pub(crate) use pull_error::network_remedy;
pub use signature::{PLACES as COSIGN_PLACES, installed as cosign};

/// How often a pull says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);
/// Layers that are counted; an image has at most 127.
const LAYERS: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSource {
    /// It is on this host already.
    Host,
    /// The registry has it and lets us in.
    Registry,
}

impl Docker {
    /// Where the image can be had, without pulling it.
    ///
    /// Fails with what a start would fail with: not here and not to be pulled, unknown to the registry, no
    /// registry.
    pub async fn image_source(&self) -> Result<ImageSource, Error> {
        let spec = &self.spec;
        if let Some(pin) = &spec.pin
            && self.image_id(pin).await?.is_some()
        {
            return Ok(ImageSource::Host);
        }
        let collator = &spec.collator;
        let reference = ImageReference::parse(&collator.image);
        if self.local_image(&reference).await?.is_some() {
            return Ok(ImageSource::Host);
        }
        if collator.pull == PullPolicy::Never {
            return Err(self.image_error(ImageFault::Absent));
        }
        self.registry_image(&reference).await.map(|_| ImageSource::Registry)
    }

    /// What the registry has under this name.
    ///
    /// Fails when it does not answer in time.
    pub(super) async fn registry_image(&self, reference: &ImageReference) -> Result<DistributionInspect, Error> {
        let credentials = self.credentials(reference).await?;
        let (engine, name) = (self.engine().await?, reference.name());
        let asked = engine.inspect_registry_image(&name, credentials);
        match tokio::time::timeout(self.limits.call, asked).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(self.pull_error(error).await),
            Err(_) => Err(self.image_error(ImageFault::Timeout(self.limits.call))),
        }
    }

    /// What to create the container from: the repository digest where the image has one, else its id.
    pub(super) async fn resolve_image(&self) -> Result<String, Error> {
        let spec = &self.spec;
        if let Some(pin) = &spec.pin {
            // It ran before, or was verified when it was fetched.
            return self.resolve_pin(pin).await;
        }
        let image = self.resolve_reference().await?;
        self.require_signature(&image).await?;
        Ok(image)
    }

    async fn resolve_reference(&self) -> Result<String, Error> {
        let spec = &self.spec;
        let collator = &spec.collator;
        let reference = ImageReference::parse(&collator.image);
        match collator.pull {
            PullPolicy::Never => self
                .local_image(&reference)
                .await?
                .ok_or_else(|| self.image_error(ImageFault::Absent)),
            PullPolicy::Missing => match self.local_image(&reference).await? {
                Some(image) => Ok(image),
                None => self.pull(&reference).await,
            },
            PullPolicy::Always => {
                let error = match self.pull(&reference).await {
                    Err(error @ Error::Image { .. }) => error,
                    done => return done,
                };
                // A wrong digest and a credentials file that others can read must be seen to.
                if let Error::Image {
                    fault: ImageFault::Digest(_) | ImageFault::Credentials { .. },
                    ..
                } = error
                {
                    return Err(error);
                }
                let Some(image) = self.local_image(&reference).await? else {
                    return Err(error);
                };
                warn!(image = collator.image, %error, "pull failed, using the image on this host");
                Ok(image)
            }
        }
    }

    pub(super) async fn local_image(&self, reference: &ImageReference) -> Result<Option<String>, Error> {
        match self.look_at_image(&reference.name()).await {
            Ok(image) => {
                let pinned = image.map(|image| pin(reference, &image)).transpose();
                pinned.map_err(|fault| self.image_error(fault))
            }
            Err(Error::Api {
                status: Some(400),
                reason,
                ..
            }) => Err(self.image_error(ImageFault::Invalid(reason))),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn pull(&self, reference: &ImageReference) -> Result<String, Error> {
        let before = self.images_here().await?;
        Box::pin(self.require_room(reference)).await?;
        let pulled = match self.pull_once(reference).await {
            // A connection that breaks half way is common on a flaky link, and layers already here stay.
            Err(Error::Image {
                fault: ImageFault::Registry(reason),
                ..
            }) if pull_error::was_reset(&reason) => {
                warn!(
                    image = self.spec.collator.image,
                    reason, "pull interrupted, trying again"
                );
                self.pull_once(reference).await
            }
            pulled => pulled,
        };
        pulled?;
        let image = self.local_image(reference).await?.ok_or_else(|| {
            self.image_error(ImageFault::Pull(
                "docker says done, yet the image is not there".to_owned(),
            ))
        })?;
        if let Some(id) = self.image_id(&image).await?.filter(|id| !before.contains(id)) {
            self.note_fetched(PulledImage {
                id,
                reference: reference.name(),
            });
        }
        Ok(image)
    }

    /// Every password and token of `collator.registry_auth`, to keep them out of all output: as they were when the file
    /// was read last, which every use of a login does.
    pub fn registry_secrets(&self) -> Vec<String> {
        self.shared
            .secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads [`Self::registry_secrets`] anew; those of a file that cannot be read stay.
    pub async fn read_registry_secrets(&self) {
        if let Some(path) = self.spec.collator.registry_auth.clone()
            && let Ok(secrets) = disk::run(Disk::System, move || auth::secrets(&path)).await
        {
            self.note_secrets(secrets);
        }
    }

    fn note_secrets(&self, secrets: Vec<String>) {
        if !secrets.is_empty() {
            *self.shared.secrets.lock().unwrap_or_else(PoisonError::into_inner) = secrets;
        }
    }

    /// The login for the registry of `reference`; `None` when there is none for it.
    pub(super) async fn credentials(&self, reference: &ImageReference) -> Result<Option<DockerCredentials>, Error> {
        let Some(path) = self.spec.collator.registry_auth.clone() else {
            return Ok(None);
        };
        let own = ImageReference::parse(self.specs.configured_image())
            .registry()
            .to_owned();
        let (file, registry) = (path.clone(), reference.registry().to_owned());
        let read = disk::run(Disk::System, move || {
            (auth::read(&file, &own, &registry), auth::secrets(&file))
        });
        let (login, secrets) = read.await.map_err(|error| {
            let reason = error.to_string();
            self.image_error(ImageFault::Credentials { path, reason })
        })?;
        self.note_secrets(secrets);
        login.map_err(|fault| self.image_error(fault))
    }

    async fn pull_once(&self, reference: &ImageReference) -> Result<(), Error> {
        let spec = &self.spec;
        let collator = &spec.collator;
        let credentials = self.credentials(reference).await?;
        let options = CreateImageOptionsBuilder::default()
            .from_image(&reference.repository)
            .tag(reference.version())
            .build();
        let engine = self.engine().await?;
        let mut lines = std::pin::pin!(engine.create_image(Some(options), None, credentials));
        let mut progress = Progress::default();
        let mut said = Instant::now();
        info!(image = collator.image, "pulling");
        loop {
            let silence = self.limits.pull_silence;
            match tokio::time::timeout(silence, lines.next()).await {
                Err(_) => return Err(self.image_error(ImageFault::Timeout(silence))),
                Ok(None) => {
                    let (layers, _, bytes, _) = progress.totals();
                    info!(image = collator.image, layers, bytes, "pulled");
                    return Ok(());
                }
                Ok(Some(Ok(line))) => progress.take(line),
                Ok(Some(Err(error))) => return Err(self.pull_error(error).await),
            }
            if said.elapsed() >= PROGRESS {
                said = Instant::now();
                let (layers_done, layers, bytes, bytes_total) = progress.totals();
                info!(
                    image = collator.image,
                    layers_done, layers, bytes, bytes_total, "pulling"
                );
            }
        }
    }

    pub(super) fn image_error(&self, fault: ImageFault) -> Error {
        Error::Image {
            image: self.spec.collator.image.clone(),
            fault,
        }
    }

    async fn pull_error(&self, error: EngineError) -> Error {
        let (reason, status) = match self.error("pull the image", error) {
            Error::Api { reason, status, .. } => (reason, status),
            other => return other,
        };
        match pull_error::classify(reason, status) {
            ImageFault::DiskFull { reason, .. } => {
                let store = self.image_store().await.map(|store| store.name);
                self.image_error(ImageFault::DiskFull { reason, store })
            }
            fault => self.image_error(fault),
        }
    }
}

/// The name that means this very image for ever. A pinned reference must be among the image's digests.
pub(crate) fn pin(reference: &ImageReference, image: &ImageInspect) -> Result<String, ImageFault> {
    let digests = image.repo_digests.as_deref().unwrap_or_default();
    if let Some(wanted) = &reference.digest {
        let pinned = digests.iter().find(|digest| digest.ends_with(&format!("@{wanted}")));
        return pinned
            .cloned()
            .ok_or_else(|| ImageFault::Digest(format!("wanted {wanted}, got {}", digests.join(", "))));
    }
    let own = digests.iter().find(|digest| {
        digest
            .split_once('@')
            .is_some_and(|(repository, _)| repository == reference.familiar())
    });
    own.or(image.id.as_ref())
        .cloned()
        .ok_or_else(|| ImageFault::Pull("the image has neither digest nor id".to_owned()))
}

/// Layers by id: whether each is complete, and its bytes so far and in all.
#[derive(Default)]
pub(crate) struct Progress(BTreeMap<String, Layer>);

#[derive(Default)]
struct Layer {
    done: bool,
    bytes: i64,
    total: i64,
}

impl Progress {
    pub(crate) fn take(&mut self, line: CreateImageInfo) {
        let (Some(id), Some(status)) = (line.id, line.status) else {
            return;
        };
        // The line about the tag carries an id too.
        if status.starts_with("Pulling from") || (self.0.len() >= LAYERS && !self.0.contains_key(&id)) {
            return;
        }
        let layer = self.0.entry(id).or_default();
        layer.done |= matches!(status.as_str(), "Pull complete" | "Already exists");
        if status == "Downloading"
            && let Some(detail) = line.progress_detail
        {
            layer.bytes = detail.current.unwrap_or(layer.bytes);
            layer.total = detail.total.unwrap_or(layer.total);
        } else if matches!(status.as_str(), "Download complete" | "Pull complete") {
            layer.bytes = layer.total;
        }
    }

    /// Layers complete, layers, bytes downloaded, bytes known of.
    pub(crate) fn totals(&self) -> (usize, usize, i64, i64) {
        let sum = |of: fn(&Layer) -> i64| self.0.values().map(of).fold(0, i64::saturating_add);
        let done = self.0.values().filter(|layer| layer.done).count();
        (done, self.0.len(), sum(|layer| layer.bytes), sum(|layer| layer.total))
    }
}

#[cfg(test)]
mod tests;
