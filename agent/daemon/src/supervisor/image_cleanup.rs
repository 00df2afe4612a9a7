//! Removal of old collator images that this agent pulled.
//!
//! Only images that this agent pulled are ever removed, never the running one or one that a rollback needs, and never by force:
//! Docker refuses while a container uses it, or while it has a name in another repository.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use agent_docker::{Docker, PulledImage};
use agent_files::replace_file;
use agent_runtime::disk::{self, Disk};
use agent_runtime::{Instant, wall};

const FILE: &str = "images.json";
/// Most images that are tracked; the oldest beyond it stays on the host.
const KNOWN_MAX: usize = 64;
const PRUNE_EVERY: Duration = Duration::from_hours(24);

/// An image that this agent pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PulledImageRecord {
    pub(crate) id: String,
    reference: String,
    /// When it was pulled or last began to run, Unix milliseconds.
    used_unix_ms: i64,
}

/// The images that this agent pulled, and the running one.
#[derive(Debug, Clone, Default)]
pub(crate) struct PulledImages {
    /// The one used last comes last.
    pub(crate) known: Vec<PulledImageRecord>,
    /// Id of the image that runs or ran last.
    pub(crate) running: Option<String>,
}

impl PulledImages {
    /// Reads the list of a file.
    pub(crate) fn parse(text: &[u8]) -> serde_json::Result<Vec<PulledImageRecord>> {
        serde_json::from_slice(text)
    }

    /// Adds pulled images.
    fn add(&mut self, fetched: Vec<PulledImage>, now: i64) {
        for PulledImage { id, reference } in fetched {
            self.known.retain(|known| known.id != id);
            self.known.push(PulledImageRecord {
                id,
                reference,
                used_unix_ms: now,
            });
        }
        while self.known.len() > KNOWN_MAX {
            self.known.remove(0);
        }
    }

    /// Records the running image; returns whether it changed.
    fn set_running(&mut self, id: &str, now: i64) -> bool {
        if self.running.as_deref() == Some(id) {
            return false;
        }
        self.running = Some(id.to_owned());
        if let Some(place) = self.known.iter().position(|known| known.id == id) {
            let mut known = self.known.remove(place);
            known.used_unix_ms = now;
            self.known.push(known);
        }
        true
    }

    /// Ids that may be removed when the newest `keep` and all of `needed` stay.
    pub(crate) fn superfluous(&self, keep: usize, needed: &[String]) -> Vec<String> {
        // In the order of the list: the wall clock may have been set.
        let newest: Vec<&PulledImageRecord> = self.known.iter().rev().collect();
        // The running image counts, also one that the agent did not pull.
        let foreign = self
            .running
            .as_ref()
            .is_some_and(|id| newest.iter().all(|k| k.id != *id));
        let old = newest.into_iter().skip(keep.saturating_sub(usize::from(foreign)));
        old.filter(|known| !needed.contains(&known.id) && self.running.as_ref() != Some(&known.id))
            .map(|known| known.id.clone())
            .collect()
    }
}

#[derive(Debug)]
pub(super) struct ImageCleanup {
    file: PathBuf,
    images: PulledImages,
    /// When old images were last looked for.
    pruned: Option<Instant>,
    /// A removal under way; gives the ids that are gone.
    removal: Option<JoinHandle<Vec<String>>>,
}

impl ImageCleanup {
    /// Loads the list of the last run of the agent. With an unreadable list, nothing is removed.
    pub(super) async fn open(state_dir: &Path) -> Self {
        let file = state_dir.join(FILE);
        let read = file.clone();
        let known = disk::run(Disk::State, move || load(&read))
            .await
            .unwrap_or_else(|error| {
                warn!(%error, "the list of old images is unknown: they stay");
                Vec::new()
            });
        Self {
            file,
            images: PulledImages { known, running: None },
            pruned: None,
            removal: None,
        }
    }

    /// Saves the list in the background, after the one before.
    fn save(&self) {
        let text = serde_json::to_vec(&self.images.known).unwrap_or_default();
        let file = self.file.clone();
        tokio::spawn(async move {
            let saved = disk::run_io(Disk::State, move || store(&file, &text)).await;
            if let Err(error) = saved {
                // An image that is not on the list stays on the host.
                warn!(%error, file = FILE, "failed to save the list of images");
            }
        });
    }

    /// Records pulled images and the running one.
    pub(super) fn note(&mut self, pulled: Vec<PulledImage>, running: Option<&str>) {
        let now = wall::unix_ms();
        let new = !pulled.is_empty();
        self.images.add(pulled, now);
        let changed = running.is_some_and(|id| self.images.set_running(id, now));
        if new || changed {
            self.save();
        }
    }

    /// Whether a day has passed since the last clean-up.
    pub(super) fn is_due(&self) -> bool {
        self.pruned.is_none_or(|at| at.elapsed() >= PRUNE_EVERY)
    }

    /// Begins to remove unneeded images; those named in `needed` stay in any case.
    pub(super) fn begin(&mut self, docker: Docker, keep: u32, needed: Vec<String>) {
        if self.images.running.is_none() {
            return;
        }
        self.pruned = Some(Instant::now());
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        if self.images.superfluous(keep, &[]).is_empty() {
            return;
        }
        let images = self.images.clone();
        self.removal = Some(tokio::spawn(async move {
            match ids(&docker, &needed).await {
                Some(needed) => remove(&docker, images.superfluous(keep, &needed)).await,
                None => Vec::new(),
            }
        }));
    }

    /// Stops a removal, since an update is about to need images.
    pub(super) fn interrupt(&mut self) {
        if let Some(removal) = self.removal.take() {
            removal.abort();
        }
    }

    /// Waits for the removal under way and records its result; pending while there is none.
    pub(super) async fn finish(&mut self) {
        let gone = match &mut self.removal {
            Some(removal) => removal.await.unwrap_or_default(),
            None => std::future::pending().await,
        };
        self.removal = None;
        for known in self.images.known.extract_if(.., |known| gone.contains(&known.id)) {
            info!(id = known.id, image = known.reference, "an old image was removed");
        }
        if !gone.is_empty() {
            self.save();
        }
    }
}

/// The list on disk.
#[expect(clippy::disallowed_methods, reason = "a job for the state disk")]
fn load(file: &Path) -> Vec<PulledImageRecord> {
    match fs::read(file).map(|text| PulledImages::parse(&text)) {
        Ok(Ok(mut known)) => {
            // Version 0.1.0 kept no order.
            known.sort_by_key(|known| known.used_unix_ms);
            known
        }
        Ok(Err(error)) => {
            warn!(%error, file = %file.display(), "the list of old images is damaged: they stay");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a job for the state disk")]
fn store(file: &Path, text: &[u8]) -> io::Result<()> {
    replace_file(file, text)
}

/// Removes images by id. Returns those that are gone.
async fn remove(docker: &Docker, old: Vec<String>) -> Vec<String> {
    let mut gone = Vec::new();
    for id in old {
        match docker.remove_image(&id).await {
            Ok(true) => gone.push(id),
            Ok(false) => info!(id, "an old image is in use elsewhere and stays"),
            Err(error) => warn!(id, %error, "failed to remove an old image"),
        }
    }
    gone
}

/// The ids behind names; `None` when the engine does not answer.
async fn ids(docker: &Docker, names: &[String]) -> Option<Vec<String>> {
    let mut ids = Vec::new();
    for name in names {
        ids.extend(docker.image_id(name).await.ok()?);
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn images(ids: &[&str]) -> PulledImages {
        let mut images = PulledImages::default();
        for (id, at) in ids.iter().zip(1..) {
            let id = (*id).to_owned();
            images.add(
                vec![PulledImage {
                    reference: id.clone(),
                    id,
                }],
                at,
            );
        }
        images
    }

    #[test]
    fn newest_images_stay_and_oldest_go() {
        let mut images = images(&["a", "b", "c", "d"]);
        images.set_running("d", 10);
        assert_eq!(images.superfluous(2, &[]), ["b", "a"]);
        assert_eq!(images.superfluous(4, &[]), [""; 0]);
        images.set_running("a", 11);
        assert_eq!(
            images.superfluous(2, &[]),
            ["c", "b"],
            "the one that runs is the newest"
        );
    }

    #[test]
    fn running_and_needed_images_never_go() {
        let mut images = images(&["a", "b", "c", "d"]);
        images.set_running("d", 10);
        assert_eq!(images.superfluous(1, &["a".to_owned()]), ["c", "b"]);
        images.running = Some("c".to_owned());
        assert_eq!(images.superfluous(1, &["a".to_owned()]), ["b"]);
    }

    #[test]
    fn foreign_image_is_not_removed_and_counts_while_it_runs() {
        let mut images = images(&["a", "b"]);
        images.set_running("theirs", 10);
        assert_eq!(images.superfluous(2, &[]), ["a"]);
    }

    #[tokio::test]
    async fn list_survives_a_restart_and_a_damaged_one_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let mut cleanup = ImageCleanup::open(dir.path()).await;
        cleanup.images.add(
            vec![PulledImage {
                id: "a".to_owned(),
                reference: "org/node:v1".to_owned(),
            }],
            1,
        );
        // Jobs on one disk are done in their order.
        cleanup.save();
        tokio::task::yield_now().await;
        assert_eq!(ImageCleanup::open(dir.path()).await.images.known, cleanup.images.known);
        fs::write(dir.path().join(FILE), "{").unwrap();
        assert_eq!(ImageCleanup::open(dir.path()).await.images.known, []);
    }

    #[test]
    fn list_after_power_cut_is_old_or_new() {
        let numbered = |number: usize| {
            let image = |index| PulledImage {
                id: format!("sha256:{index}"),
                reference: format!("org/node:v{number}"),
            };
            (0..20 * number).map(image).collect::<Vec<_>>()
        };
        let run = |root: &Path, steps: &agent_crash_states::Steps| {
            for number in 1..=3 {
                let mut images = PulledImages::default();
                images.add(numbered(number), 0);
                let text = serde_json::to_vec(&images.known)?;
                steps.step(|| store(&root.join(FILE), &text))?;
            }
            Ok(())
        };
        let operation = agent_crash_states::operation!(list_after_power_cut_is_old_or_new);
        let checked = operation.check(
            |_| Ok(()),
            run,
            |root, progress| {
                let found = load(&root.join(FILE));
                let references = found.iter().map(|known| known.reference.as_str());
                let is = |number: usize| {
                    found.len() == 20 * number && references.clone().all(|name| name == format!("org/node:v{number}"))
                };
                anyhow::ensure!((progress.acknowledged..=progress.begun).any(is), "{found:?}");
                Ok(())
            },
        );
        checked.unwrap();
    }
}
