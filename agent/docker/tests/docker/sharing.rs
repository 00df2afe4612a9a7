//! Other containers with the collator's keys or data, in every way of mounting them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent_config::BindMount;
use agent_docker::Error;

use crate::engine::{World, permit};

/// A directory that is mounted at a second place, until this is dropped.
struct BoundMount(PathBuf);

impl BoundMount {
    /// `None` without the right to mount.
    fn make(dir: &Path, at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").arg("--bind").args([dir, at]).status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for BoundMount {
    fn drop(&mut self) {
        // In a private engine's container it may still be seen for a moment.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn whoever_has_the_keys_or_writes_to_the_data_prevents_the_start_and_is_named_later() {
    let Some(mut world) = World::new().await else {
        return;
    };
    let home = world.dir.path().join("home");
    let (data, keys) = (home.join("data"), home.join("id/keystore"));
    fs::create_dir_all(data.join("chains")).unwrap();
    fs::create_dir_all(&keys).unwrap();
    symlink(&keys, home.join("link")).unwrap();
    world.config.data.path.clone_from(&data);
    world.config.mounts.push(BindMount {
        source: keys.clone(),
        target: "/node/keystore".into(),
        read_only: false,
    });
    let name = format!("{}-other", world.name());
    let around = home.join("around");
    let bound = BoundMount::make(&keys, &around.join("keys"));
    let mut shared = vec![
        (keys.clone(), true),
        (home.join("link"), true),
        (home.join("id"), true),
        (home.clone(), false),
        (data.clone(), false),
        (data.join("chains"), false),
    ];
    // Below it, and only by a mount.
    shared.extend(bound.as_ref().map(|_| (around.clone(), true)));
    for (source, read_only) in &shared {
        world.run_foreign(&name, Some((source, *read_only))).await;
        let refused = world.docker().ensure_running(&permit()).await;
        let shown = source.display();
        assert!(
            matches!(&refused, Err(Error::Occupied { name: other, .. }) if *other == name),
            "{shown}, read-only {read_only}: {refused:?}"
        );
        assert_eq!(world.running().await, [name.as_str()]);
        world.remove_named(&name).await;
    }

    world.run_foreign(&name, Some((&data, true))).await;
    world.docker().ensure_running(&permit()).await.unwrap();
    assert_eq!(world.docker().sharer().await.unwrap(), None, "it only reads the data");
    world.remove_named(&name).await;
    for (source, read_only) in &shared {
        world.run_foreign(&name, Some((source, *read_only))).await;
        let found = world.docker().sharer().await.unwrap();
        assert!(
            found.is_some_and(|found| found.starts_with(&name)),
            "{}",
            source.display()
        );
        world.remove_named(&name).await;
    }
    assert_eq!(world.docker().sharer().await.unwrap(), None);
}
