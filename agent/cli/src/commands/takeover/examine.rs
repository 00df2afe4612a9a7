//! What has to be true before a container is taken over: the configuration describes it, and nothing else has its data.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};

use agent_config::Config;
use agent_core::key_paths::is_key;
use agent_docker::{Docker, ExistingContainer};

use crate::commands::check::failed_checks;
use crate::commands::node_command::{NodeCommand, Side};

/// Fails with what speaks against the takeover, and how to go on. `force` accepts failed checks, differences and a
/// predecessor that is gone when it ends; never a container that has other data, which the agent would not wait for.
/// `is_under_way`: an earlier call has stopped the predecessor after these checks, and the agent's collator, which has begun
/// in its place, may not answer yet.
pub(super) async fn examine(
    docker: &Docker,
    config: &Config,
    predecessor: &ExistingContainer,
    force: bool,
    is_under_way: bool,
) -> anyhow::Result<()> {
    let (name, data) = (&predecessor.name, config.data.path.display());
    if let Some(orchestrator) = predecessor.orchestrator {
        bail!("{orchestrator} runs {name} and would start it again: take it out of there first");
    }
    ensure!(
        docker.containers_on_data().await?.contains(name),
        "{name} does not have data.path ({data}), so its chain data would not be taken over: correct data.path, \
         see docker inspect {name}"
    );
    let sharers = docker.sharers().await?;
    let mut others = sharers
        .iter()
        .filter(|(other, _)| other != name && *other != config.collator.container);
    if let Some((other, place)) = others.next() {
        bail!(
            "{other} has {} as well, and the agent starts nothing beside it: docker stop {other}",
            place.display()
        );
    }
    if force {
        return Ok(());
    }
    ensure!(
        !predecessor.is_removed_on_exit,
        "{name} was made with --rm: Docker removes it when it stops, which leaves no way back, and what started it may start it \
         again: end that first, then give --force"
    );
    let failed = if is_under_way {
        Vec::new()
    } else {
        failed_checks(config).await
    };
    ensure!(
        failed.is_empty(),
        "{}; mend it (t0rn-agent check), or give --force",
        failed.join("; ")
    );
    let image = docker.configured_image_id().await?;
    let differences = differences(config, predecessor, image.as_deref());
    ensure!(
        differences.is_empty(),
        "the configuration does not describe {name}: {}; correct it, or give --force",
        differences.join("; ")
    );
    Ok(())
}

/// How the configuration differs from the predecessor in what a takeover is to leave as it is. `image` is the id of the
/// configured image; `None` when it is not on this host.
fn differences(config: &Config, predecessor: &ExistingContainer, image: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    if image != Some(predecessor.image.id.as_str()) {
        found.push(format!(
            "it runs the image {} and collator.image is {}: take it over with its own image and update afterwards",
            predecessor.image.reference, config.collator.image
        ));
    }
    let ours = || {
        let mounts = config.mounts.iter().map(|mount| (&*mount.source, &*mount.target));
        std::iter::once((&*config.data.path, &*config.data.target)).chain(mounts)
    };
    let theirs = || {
        let mounts = predecessor.mounts.iter();
        mounts.map(|mount| (&*mount.source, &*mount.target))
    };
    for (source, target) in theirs().filter(|(source, target)| is_key(source) || is_key(target)) {
        let real = real_path(source);
        if !ours().any(|(mount, _)| real.starts_with(real_path(mount))) {
            found.push(format!(
                "its keys in {} (at {}) are not among the mounts",
                source.display(),
                target.display()
            ));
        }
    }
    // The parachain's arguments: those of the relay chain follow `--`.
    let [our_node, their_node] =
        [&config.collator.command, &predecessor.process].map(|words| NodeCommand::of_words(words));
    for flags in [&["--base-path", "-d"][..], &["--keystore-path"]] {
        let value = |node: &NodeCommand| node.value(Side::Main, flags).map(PathBuf::from);
        let our = value(&our_node).and_then(|path| host_path(ours(), &path));
        let their = value(&their_node).and_then(|path| host_path(theirs(), &path));
        if let (Some(our), Some(their)) = (our, their)
            && our != their
        {
            found.push(format!(
                "its {} is {} on this host, and in collator.command it is {}",
                flags[0],
                their.display(),
                our.display()
            ));
        }
    }
    let [our_chain, their_chain] = [&our_node, &their_node].map(|node| node.value(Side::Main, &["--chain"]));
    if let (Some(our), Some(their)) = (our_chain, their_chain)
        && our != their
        // A file may lie elsewhere in the other container.
        && !(our.contains('/') && their.contains('/'))
    {
        found.push(format!("its --chain is {their}, and in collator.command it is {our}"));
    }
    found
}

/// Where a path in a container lies on the host; `None` when it is in no mount.
fn host_path<'m>(mounts: impl Iterator<Item = (&'m Path, &'m Path)>, path: &Path) -> Option<PathBuf> {
    let around = mounts.filter(|(_, target)| path.starts_with(target));
    let (source, target) = around.max_by_key(|(_, target)| target.components().count())?;
    let below = path.strip_prefix(target).ok()?;
    // Without the separator that joining nothing would add.
    let path = if below.as_os_str().is_empty() {
        source.to_owned()
    } else {
        source.join(below)
    };
    Some(real_path(&path))
}

/// The path without links, as far as it is there.
fn real_path(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use agent_docker::{ExistingImage, ExistingMount};

    use super::*;

    const IMAGE: &str = "sha256:1111";

    fn config(text: &str) -> Config {
        let head = "[collator]\nimage = \"org/node:1\"\n";
        Config::parse(&format!("{head}{text}"), "test").unwrap()
    }

    fn predecessor(command: &str, mounts: &[(&str, &str)]) -> ExistingContainer {
        let mount = |(source, target): &(&str, &str)| ExistingMount {
            source: source.into(),
            target: target.into(),
            read_only: false,
            volume: None,
        };
        ExistingContainer {
            name: "node".to_owned(),
            status: "running".to_owned(),
            image: ExistingImage {
                reference: "org/node:1".to_owned(),
                id: IMAGE.to_owned(),
                ..ExistingImage::default()
            },
            process: command.split(' ').map(str::to_owned).collect(),
            mounts: mounts.iter().map(mount).collect(),
            ..ExistingContainer::default()
        }
    }

    const DATA: &str = "command = [\"--base-path\", \"/node/data\", \"--\", \"--base-path\", \"/relay\"]\n\
                        [data]\npath = \"/srv/chain\"\ntarget = \"/node/data\"\n";

    #[test]
    fn same_image_directory_and_keys_are_no_difference() {
        let keys = "[[mounts]]\nsource = \"/srv/keystore\"\ntarget = \"/keystore\"\n";
        let found = predecessor(
            "/node -d /chain --collator",
            &[("/srv/chain", "/chain"), ("/srv/keystore", "/keys")],
        );
        let none: Vec<String> = Vec::new();
        assert_eq!(
            differences(&config(&format!("{DATA}{keys}")), &found, Some(IMAGE)),
            none
        );
        let inside = predecessor("/node --base-path=/all/chain", &[("/srv", "/all")]);
        assert_eq!(differences(&config(DATA), &inside, Some(IMAGE)), none);
    }

    #[test]
    fn another_image_is_a_difference_on_this_host_or_not() {
        let found = predecessor("/node --base-path /chain", &[("/srv/chain", "/chain")]);
        for image in [Some("sha256:2222"), None] {
            let differences = differences(&config(DATA), &found, image);
            assert!(
                differences.len() == 1 && differences[0].contains("update afterwards"),
                "{differences:?}"
            );
        }
    }

    #[test]
    fn keys_that_are_not_mounted_are_a_difference() {
        let found = predecessor(
            "/node --base-path /chain",
            &[
                ("/srv/chain", "/chain"),
                ("/srv/keystore", "/keys"),
                ("/srv/chain/keystore", "/k"),
            ],
        );
        let differences = differences(&config(DATA), &found, Some(IMAGE));
        assert_eq!(
            differences,
            ["its keys in /srv/keystore (at /keys) are not among the mounts"]
        );
    }

    #[test]
    fn another_directory_of_the_same_mount_is_a_difference() {
        let found = predecessor("/node --base-path /chain/live", &[("/srv/chain", "/chain")]);
        let differences = differences(&config(DATA), &found, Some(IMAGE));
        assert_eq!(
            differences,
            ["its --base-path is /srv/chain/live on this host, and in collator.command it is /srv/chain"]
        );
    }

    #[test]
    fn another_named_chain_is_a_difference_and_another_file_is_not() {
        let mounts = [("/srv/chain", "/chain")];
        let other = config("command = [\"--chain\", \"t0rn\"]\n[data]\npath = \"/srv/chain\"\n");
        let found = predecessor("/node --chain rococo", &mounts);
        let differ = differences(&other, &found, Some(IMAGE));
        assert_eq!(differ, ["its --chain is rococo, and in collator.command it is t0rn"]);
        let file = config("command = [\"--chain\", \"/a/spec.json\"]\n[data]\npath = \"/srv/chain\"\n");
        let found = predecessor("/node --chain /b/spec.json", &mounts);
        assert_eq!(differences(&file, &found, Some(IMAGE)), Vec::<String>::new());
    }
}
