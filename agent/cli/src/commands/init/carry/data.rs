//! Mounts: the chain's data, the keys, and everything else.

use std::path::{Component, Path, PathBuf};

use agent_core::key_paths::is_key;
use agent_docker::{ExistingContainer, ExistingMount};

use super::keys;
use crate::commands::init::draft::{Draft, DraftMount};
use crate::commands::node_command::NodeCommand;

pub(super) fn carry(draft: &mut Draft, existing: &ExistingContainer, node: &NodeCommand) {
    let usable: Vec<&ExistingMount> = existing.mounts.iter().filter(|mount| is_usable(draft, mount)).collect();
    let base = node.base_path();
    let data = base
        .as_deref()
        .map_or_else(|| guess(existing, &usable), |base| holder(&usable, base));
    match data {
        Some(mount) => place_data(draft, mount, base.as_deref()),
        None => data_inside(draft, existing, base),
    }
    for mount in usable {
        if mount.target != draft.data.1 {
            draft.mounts.push(DraftMount {
                source: mount.source.clone(),
                target: mount.target.clone(),
                read_only: mount.read_only,
                comment: None,
            });
        }
        if let Some(volume) = &mount.volume {
            let prunes = match &existing.compose_project {
                Some(_) => "`docker compose down --volumes` and `docker volume prune` can delete it then",
                None => "`docker volume prune` can delete it then",
            };
            draft.note(format!(
                "{} is the volume {} of Docker, and nothing holds it once the old container is removed: {prunes}. Move the \
                 directory first, and name its new place",
                mount.target.display(),
                short(volume)
            ));
        }
    }
    keys::carry(draft, existing, node);
}

/// Whether the mount can be given to the agent's container.
fn is_usable(draft: &mut Draft, mount: &ExistingMount) -> bool {
    let is_plain = |path: &Path| {
        let text = path.to_string_lossy();
        let parts: Vec<_> = path.components().collect();
        path.is_absolute()
            && parts.len() > 1
            && !parts.contains(&Component::ParentDir)
            && !text.contains(|c: char| c == ':' || c.is_control())
    };
    let is_usable = is_plain(&mount.source) && is_plain(&mount.target);
    if !is_usable {
        let (source, target) = (mount.source.display(), mount.target.display());
        draft.note(format!(
            "the mount of {source} on {target}: a mount needs two paths below the root, without a colon"
        ));
    }
    is_usable
}

/// The mount that has the base path in it, else one below the base path.
fn holder<'a>(mounts: &[&'a ExistingMount], base: &Path) -> Option<&'a ExistingMount> {
    let length = |mount: &&&ExistingMount| mount.target.components().count();
    let around = mounts
        .iter()
        .filter(|mount| base.starts_with(&mount.target))
        .max_by_key(length);
    let below = || {
        let below = mounts
            .iter()
            .filter(|mount| mount.target.starts_with(base) && !is_key(&mount.target));
        below.min_by_key(length)
    };
    around.or_else(below).copied()
}

/// Without `--base-path`: the volume that the image declares, else the one mount that looks like data.
fn guess<'a>(existing: &ExistingContainer, mounts: &[&'a ExistingMount]) -> Option<&'a ExistingMount> {
    let is_candidate = |mount: &&&ExistingMount| {
        !mount.read_only && !is_key(&mount.source) && !is_key(&mount.target) && !mount.source.is_file()
    };
    let candidates: Vec<_> = mounts.iter().filter(is_candidate).collect();
    let is_declared = |mount: &&&&ExistingMount| {
        existing
            .image
            .volumes
            .iter()
            .any(|path| Path::new(path) == mount.target)
    };
    let named = |mount: &&&&ExistingMount| {
        let target = mount.target.to_string_lossy();
        target.contains("data") || target.contains(".local/share")
    };
    let mut declared = candidates.iter().filter(is_declared);
    let mut likely = candidates.iter().filter(named);
    declared
        .next()
        .or_else(|| likely.next())
        .or(candidates.first())
        .map(|mount| **mount)
}

fn place_data(draft: &mut Draft, mount: &ExistingMount, base: Option<&Path>) {
    draft.data = (mount.source.clone(), mount.target.clone());
    match base {
        None => draft.note(format!(
            "the command has no --base-path: {} is taken for the chain's data (data.path)",
            mount.source.display()
        )),
        Some(base) => match base.strip_prefix(&mount.target) {
            Ok(rest) if rest.as_os_str().is_empty() => {}
            // The whole mount stays one as well.
            Ok(rest) => draft.data = (mount.source.join(rest), base.to_owned()),
            Err(_) => draft.note(format!(
                "{} is a part of the node's base path {} only: what lies beside it stays in the container and is lost with it",
                mount.target.display(),
                base.display()
            )),
        },
    }
    if mount.read_only {
        draft.warn("the chain's data was mounted read-only; the agent mounts it for writing");
    }
    if let Some(volume) = &mount.volume {
        draft.data_comment = Some(format!("The volume {} of Docker, by its directory.", short(volume)));
    }
}

/// No mount has the chain: it is in the container's own layer.
fn data_inside(draft: &mut Draft, existing: &ExistingContainer, base: Option<PathBuf>) {
    let path = Path::new("/var/lib").join(&draft.container);
    let (name, shown) = (&existing.name, path.display());
    match &base {
        _ if existing.id.is_empty() => draft.note(format!("no mount has the chain's data: it will be in {shown}")),
        Some(base) => draft.warn(format!(
            "the chain's data is in the container itself, and is lost with it: stop the container, then \
             `docker cp --archive {name}:{} {shown}`",
            base.display()
        )),
        None => draft.warn(format!(
            "the chain's data is somewhere in the container itself, and is lost with it: there is no mount, and no \
             --base-path in the command. `docker diff {name}` shows where: copy it to {shown}, and name its place in data.target"
        )),
    }
    draft.data = (path, base.unwrap_or_else(|| PathBuf::from("/node/data")));
}

/// The name of a volume; of one without a name its id, as Docker shortens ids.
fn short(volume: &str) -> &str {
    let is_id = volume.len() == 64 && volume.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { &volume[..12] } else { volume }
}
