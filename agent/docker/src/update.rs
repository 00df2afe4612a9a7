//! Another image in place of the configured one: had and looked at, put in place, and old ones removed.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use bollard::models::ImageInspect;
use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder};
use tracing::warn;

use super::{Docker, Error, ImageFault};
use agent_config::{ImageReference, PullPolicy};
use agent_core::event::{Image, Images};

/// An image that a pull of ours brought onto this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledImage {
    /// `sha256:…`
    pub id: String,
    pub reference: String,
}

/// More of them are not kept until they are asked for.
const FETCHED_MAX: usize = 16;

impl Docker {
    /// Has `reference` on this host, as `collator.pull` says (the name that runs already is asked of the registry all
    /// the same), and looks at everything that its container needs. Changes nothing else.
    ///
    /// Fails with what a start from it would fail with; and when there is no container yet.
    pub async fn fetch(&self, reference: &str) -> Result<Images, Error> {
        let found = self.find().await?.ok_or_else(|| Error::Api {
            action: "update the image",
            status: None,
            reason: "there is no container yet; write the image into the configuration".to_owned(),
        })?;
        if !found.ours {
            return Err(self.foreign());
        }
        let from = Image {
            reference: found.detail.image,
            pin: found.detail.pin,
        };
        let other = self.with_reference(reference)?;
        let parsed = ImageReference::parse(reference);
        let here = other.local_image(&parsed).await?;
        let pin = match (self.spec.collator.pull, here) {
            (PullPolicy::Never, Some(pin)) => pin,
            (PullPolicy::Never, None) => return Err(other.image_error(ImageFault::Absent)),
            (PullPolicy::Missing, Some(pin)) if pin != from.pin => pin,
            _ => other.pull(&parsed).await?,
        };
        other.require_signature(&pin).await?;
        other.require_platform(&pin).await?;
        other.require_network().await?;
        other.prepare_paths().await?;
        let reference = reference.to_owned();
        Ok(Images {
            from,
            to: Image { reference, pin },
        })
    }

    /// The digest that the registry has for the image that is to run now, `sha256:…`; `None` for one that is pinned to
    /// a digest.
    ///
    /// Fails when the registry does not answer in time.
    pub async fn newest_digest(&self, reference: &str) -> Result<Option<String>, Error> {
        let other = self.with_reference(reference)?;
        let parsed = ImageReference::parse(reference);
        if parsed.digest.is_some() {
            return Ok(None);
        }
        Ok(other.registry_image(&parsed).await?.descriptor.digest)
    }

    /// Images that pulls of ours brought since the last call.
    pub fn take_fetched(&self) -> Vec<PulledImage> {
        let mut fetched = self.shared.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut fetched)
    }

    /// The id of an image on this host, by whatever name; `None` when it is not here.
    ///
    /// Fails when the engine does not answer.
    pub async fn image_id(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.look_at_image(name).await?.and_then(|image| image.id))
    }

    /// Removes an image that no container uses and that has no other name. Returns whether it is gone.
    ///
    /// Fails when the engine does not answer.
    pub async fn remove_image(&self, id: &str) -> Result<bool, Error> {
        let options = RemoveImageOptionsBuilder::default().force(false).build();
        let engine = self.engine().await?;
        let removed = engine.remove_image(id, Some(options), None);
        match self.within("remove the image", self.limits.change, removed).await {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(404) => Ok(true),
            // In use, or with a name that is not ours.
            Err(error) if error.status() == Some(409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn resolve_pin(&self, pin: &str) -> Result<String, Error> {
        if self.look_at_image(pin).await?.is_some() {
            return Ok(pin.to_owned());
        }
        let may_pull = self.spec.collator.pull != PullPolicy::Never;
        if may_pull && pin.contains('@') {
            warn!(image = pin, "it is gone from this host, pulling it again");
            return self.pull(&ImageReference::parse(pin)).await;
        }
        Err(self.image_error(ImageFault::Gone))
    }

    pub(super) async fn images_here(&self) -> Result<HashSet<String>, Error> {
        let engine = self.engine().await?;
        let options = ListImagesOptionsBuilder::default().build();
        let images = engine.list_images(Some(options));
        let images = self.within("list the images", self.limits.call, images).await?;
        Ok(images.into_iter().map(|image| image.id).collect())
    }

    pub(super) fn note_fetched(&self, fetched: PulledImage) {
        let mut all = self.shared.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < FETCHED_MAX && !all.contains(&fetched) {
            all.push(fetched);
        }
    }

    /// An image for another kind of machine starts, and ends with `exec format error`.
    async fn require_platform(&self, image: &str) -> Result<(), Error> {
        let Some(image) = self.look_at_image(image).await? else {
            return Err(self.image_error(ImageFault::Gone));
        };
        let engine = self.engine().await?;
        let version = self.within("say its version", self.limits.call, engine.version());
        let version = version.await?;
        let other = |has: Option<String>, wants: Option<String>| {
            let both = has.filter(|has| !has.is_empty()).zip(wants);
            both.filter(|(has, wants)| has != wants)
        };
        let found = other(image.architecture, version.arch).or(other(image.os, version.os));
        match found {
            Some((has, wants)) => Err(self.image_error(ImageFault::Platform { has, wants })),
            None => Ok(()),
        }
    }

    pub(super) async fn look_at_image(&self, name: &str) -> Result<Option<ImageInspect>, Error> {
        let engine = self.engine().await?;
        let image = engine.inspect_image(name);
        match self.within("inspect the image", self.limits.call, image).await {
            Ok(image) => Ok(Some(image)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn with_reference(&self, reference: &str) -> Result<Self, Error> {
        Ok(Self {
            spec: Arc::new(self.spec.with_image(reference, None)?),
            ..self.clone()
        })
    }
}
