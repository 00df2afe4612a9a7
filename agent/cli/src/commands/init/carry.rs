//! Carries an existing container over into a draft: each of its settings to the key that does the same.

mod data;
mod exporters;
mod keys;
mod limits;
mod ports;
mod remedies;
mod user;

use std::path::Path;

use agent_config::parse_image;
use agent_docker::{ExistingContainer, ExistingImage, Neighbour};
use anyhow::{Context as _, bail};

use super::draft::Draft;

/// The draft of a configuration that runs the same collator. `neighbours` are the host's other containers.
///
/// Fails when the image has no name that a configuration could give.
pub(super) fn carry(existing: &ExistingContainer, neighbours: &[Neighbour]) -> anyhow::Result<Draft> {
    let mut draft = Draft {
        container: existing.name.clone(),
        command: existing.command.clone(),
        env: existing.env.clone(),
        ..Draft::default()
    };
    image(&mut draft, &existing.image)?;
    draft.program.clone_from(&existing.image.entrypoint);
    if let Some((program, first)) = existing.entrypoint.as_deref().and_then(<[String]>::split_first) {
        draft.entrypoint = Some(program.clone());
        draft.program = vec![program.clone()];
        draft.command = [first, &existing.command].concat();
    }
    let dirs = [&existing.working_dir, &existing.image.working_dir].into_iter();
    draft.dir = Path::new("/").join(dirs.into_iter().find(|dir| !dir.is_empty()).map_or("", String::as_str));
    let node = draft.node();
    let relative = node.relative_paths();
    if *draft.dir != *Path::new("/").join(&existing.image.working_dir) && !relative.is_empty() {
        draft.warn(format!(
            "the path of {} begins in {}, and the agent's container in the image's own directory: write it from the root in \
             collator.command",
            relative.join(", "),
            draft.dir.display()
        ));
    }
    if node.is_shell_line {
        draft.note(
            "collator.command is a line for a shell: `bake` and identity.without_volume = \"full_node\" cannot take keys and \
             authority out of it; a program with its arguments is safer",
        );
    }
    data::carry(&mut draft, existing, &node);
    let is_root = user::carry(&mut draft, existing);
    ports::carry(&mut draft, existing);
    compose_network(&mut draft, existing);
    exporters::carry(&mut draft, &node, neighbours);
    limits::carry(&mut draft, existing, is_root);
    for setting in &existing.others {
        remedies::note(&mut draft, setting);
    }
    conflicts(&mut draft, neighbours);
    Ok(draft)
}

fn image(draft: &mut Draft, image: &ExistingImage) -> anyhow::Result<()> {
    let reference = image.reference.as_str();
    let digits = reference.trim_start_matches("sha256:");
    let is_id = !digits.is_empty() && image.id.trim_start_matches("sha256:").starts_with(digits);
    if is_id || image.is_moved {
        let Some(name) = image.digests.first().or(image.tags.first()) else {
            bail!(
                "the image {} of the container has no name any more, and an id is none that a configuration can give: \
                 `docker tag {} collator:taken-over`, then again",
                image.reference,
                image.id
            );
        };
        draft.image = parse_image(name).with_context(|| format!("the image {name} cannot be named"))?;
        if !is_id {
            draft.image_comment = Some(format!(
                "{reference} names another image by now; this one is the container's own."
            ));
        }
        return Ok(());
    }
    draft.image = parse_image(reference).with_context(|| format!("the image {reference} cannot be named"))?;
    if !reference.contains('@')
        && let Some(digest) = image.digests.first()
    {
        draft.image_comment = Some(format!("The container was made from {digest}: write that to pin it."));
    }
    Ok(())
}

/// A network that Docker Compose made goes with its project.
fn compose_network(draft: &mut Draft, existing: &ExistingContainer) {
    let network = &existing.network;
    if let Some(project) = &existing.compose_project
        && network.starts_with(&format!("{project}_"))
    {
        draft.note(format!(
            "the network {network} is of the compose project {project}: `docker compose down` removes it while the collator is \
             stopped, and the collator is not started without it; collator.network = \"bridge\" needs none"
        ));
    }
}

/// Directories and ports that other containers of this host have as well.
fn conflicts(draft: &mut Draft, neighbours: &[Neighbour]) {
    let sources = draft
        .mounts
        .iter()
        .filter(|mount| !mount.read_only)
        .map(|mount| mount.source.clone());
    let sources: Vec<_> = sources.chain([draft.data.0.clone()]).collect();
    for other in neighbours {
        for source in sources.iter().filter(|source| other.sources.contains(*source)) {
            let text = format!(
                "the container {} is given {} as well: two nodes on one directory do harm, give each its own",
                other.name,
                source.display()
            );
            if other.is_running {
                draft.warn(text);
            } else {
                draft.note(text);
            }
        }
        for port in draft.ports.clone() {
            let taken = |(host, protocol): &(u16, String)| *host == port.host && protocol == port.protocol;
            if other.is_running && other.ports.iter().any(taken) {
                draft.warn(format!(
                    "the container {} has the host's port {}/{}: give one of them another (collator.ports)",
                    other.name, port.host, port.protocol
                ));
            }
        }
    }
}
