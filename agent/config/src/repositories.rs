//! The repositories that an update may take images from.

use crate::image_reference::ImageReference;
use crate::types::Config;

/// An image whose repository the configuration does not name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{image} is from the repository {repository}, which is neither that of collator.image ({configured}) nor in \
     update.repositories; add it there, and restart the agent"
)]
pub struct RepositoryError {
    image: String,
    repository: String,
    configured: String,
}

impl Config {
    /// Whether an update may take this image.
    ///
    /// # Errors
    /// Its repository is neither the configured image's nor one of `update.repositories`: any image is given the keys.
    pub fn allow_image(&self, image: &str) -> Result<(), RepositoryError> {
        let asked = ImageReference::parse(image);
        let configured = ImageReference::parse(&self.collator.image);
        let others = self.update.repositories.iter().map(|name| ImageReference::parse(name));
        let is_same =
            |other: &ImageReference| (other.registry(), other.familiar()) == (asked.registry(), asked.familiar());
        if is_same(&configured) || others.into_iter().any(|other| is_same(&other)) {
            return Ok(());
        }
        Err(RepositoryError {
            image: image.to_owned(),
            repository: asked.repository,
            configured: configured.repository,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]

    use super::*;

    fn config(image: &str) -> Config {
        let update = "[update]\nrepositories = [\"registry.example.com:5000/t0rn/collator\", \"org/other\"]\n";
        Config::parse(&format!("[collator]\nimage = \"{image}\"\n{update}"), "agent.toml").unwrap()
    }

    #[test]
    fn images_of_named_repositories_are_allowed_under_every_spelling() {
        let config = config("org/node:v1");
        for image in [
            "org/node:v2",
            "docker.io/org/node:v2",
            "index.docker.io/org/node",
            "registry.example.com:5000/t0rn/collator:v3",
            "docker.io/org/other:v1",
        ] {
            assert_eq!(config.allow_image(image), Ok(()), "{image}");
        }
    }

    #[test]
    fn images_of_other_repositories_are_refused_with_the_key() {
        let config = config("org/node:v1");
        for image in [
            "org/node2:v1",
            "node:v1",
            "evil.example/org/node:v1",
            "localhost/org/node:v1",
            "registry.example.com/t0rn/collator:v3",
            "registry.example.com:5000/t0rn/collator/x:v3",
            "org/other/x:v1",
        ] {
            let refused = config.allow_image(image).unwrap_err().to_string();
            assert!(
                refused.starts_with(image) && refused.contains("update.repositories"),
                "{refused}"
            );
        }
    }
}
