//! What an update of the collator's image is decided on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An image, as people call it and as it is found again for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// As it was given: `name:tag` or `name@sha256:…`.
    pub reference: String,
    /// What a container is created from: a repository digest or an image id.
    pub pin: String,
}

/// What a start brings to running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredSpec {
    /// Image in place of the configured one; `None` is the configured one.
    pub image: Option<Image>,
    /// With authority and keys; otherwise as a full node without them.
    pub keys: bool,
}

impl Default for DesiredSpec {
    fn default() -> Self {
        Self {
            image: None,
            keys: true,
        }
    }
}

/// The image that runs, and the one that is wanted instead and is on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    pub from: Image,
    pub to: Image,
}

/// Why the image of an update could not be pulled or inspected, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PullError(pub String);

/// Versions of the databases at rest, by the file they were read from. All of them, or the event is missing.
pub type Versions = BTreeMap<String, String>;
