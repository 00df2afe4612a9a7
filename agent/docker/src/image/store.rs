//! Where the engine keeps images, and whether there is room for another one.

use std::path::{Path, PathBuf};

use agent_config::ImageReference;
use agent_core::units::show_mib;
use agent_runtime::disk::{self, Disk};

use crate::{Docker, Error, ImageFault};

/// Of containerd, which Docker does not name.
const CONTAINERD: &str = "/var/lib/containerd";

pub(super) struct ImageStore {
    /// The name in messages.
    pub(super) name: String,
    root: PathBuf,
}

impl Docker {
    /// Where the engine keeps images; `None` when it does not say.
    pub(super) async fn image_store(&self) -> Option<ImageStore> {
        let engine = self.engine().await.ok()?;
        let info = self.within("describe itself", self.limits.call, engine.info());
        let info = info.await.ok()?;
        let driver = info.driver_status.unwrap_or_default();
        let containerd = "io.containerd.snapshotter";
        if driver.iter().flatten().any(|word| word.starts_with(containerd)) {
            return Some(ImageStore {
                name: format!("containerd's store (usually {CONTAINERD})"),
                root: CONTAINERD.into(),
            });
        }
        let root = info.docker_root_dir?;
        Some(ImageStore {
            name: format!("docker's image store {root}"),
            root: root.into(),
        })
    }

    /// Fails when the image store has less room than the container's image takes, and the registry has another one: a pull
    /// that fills the disk harms whatever else is on it. What is not known is no reason to fail.
    pub(super) async fn require_room(&self, reference: &ImageReference) -> Result<(), Error> {
        let Some(size) = self.size_of_present().await else {
            return Ok(());
        };
        let Some(store) = self.image_store().await else {
            return Ok(());
        };
        let root = store.root.clone();
        let free = disk::run(Disk::Foreign, move || free_space(&root)).await;
        let Some(reason) = free.ok().flatten().and_then(|free| shortage(free, size)) else {
            return Ok(());
        };
        if let (Ok(Some(here)), Ok(there)) = (self.local_image(reference).await, self.registry_image(reference).await)
            && there
                .descriptor
                .digest
                .is_some_and(|digest| here.ends_with(&format!("@{digest}")))
        {
            // All of it is here already.
            return Ok(());
        }
        let store = Some(store.name);
        Err(self.image_error(ImageFault::DiskFull { reason, store }))
    }

    /// Size of the container's image, bytes; `None` while there is none.
    async fn size_of_present(&self) -> Option<u64> {
        let present = self.find().await.ok()??.detail.image_id?;
        let size = self.look_at_image(&present).await.ok()??.size?;
        u64::try_from(size).ok()
    }
}

/// Bytes that the engine, which is root, may write there; `None` where that is not known.
fn free_space(root: &Path) -> Option<u64> {
    let about = rustix::fs::statvfs(root).ok()?;
    (about.f_blocks > 0).then(|| about.f_bfree.saturating_mul(about.f_frsize))
}

/// Why an image of that size does not fit.
fn shortage(free: u64, size: u64) -> Option<String> {
    (free < size).then(|| {
        format!(
            "{} are free, and the image before it takes {}",
            show_mib(free),
            show_mib(size)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_the_image_before_is_enough() {
        assert_eq!(shortage(300 << 20, 300 << 20), None);
        let text = shortage(120 << 20, 300 << 20);
        assert_eq!(
            text.as_deref(),
            Some("120 MiB are free, and the image before it takes 300 MiB")
        );
    }

    #[test]
    fn free_space_of_what_is_not_there_is_unknown() {
        assert!(free_space(Path::new("/")).is_some());
        assert_eq!(free_space(Path::new("/no/such/store")), None);
    }
}
