//! Keystore, node key and password: where the node's flags say they are.

use std::path::{Path, PathBuf};

use agent_core::key_paths::is_keystore;
use agent_docker::ExistingContainer;

use crate::commands::init::draft::{Draft, DraftMount};
use crate::commands::node_command::NodeCommand;

/// Where keys are copied to that were in the container: the default of `identity.mount`.
const IDENTITY: &str = "/var/lib/t0rn-identity";

pub(super) fn carry(draft: &mut Draft, existing: &ExistingContainer, node: &NodeCommand) {
    if let Some(flag) = node.key_flag() {
        draft.note(format!(
            "{flag} has a secret on the command line, which every user of the host can read: a file is safer"
        ));
    }
    let paths = node.key_paths();
    for (flag, path) in &paths {
        if let Some(mount) = draft.mounts.iter_mut().find(|mount| path.starts_with(&mount.target)) {
            mount.comment = Some(format!("For {flag}."));
            let is_known = is_keystore(&mount.source) || is_keystore(&mount.target);
            let source = mount.source.display().to_string();
            if *flag == "--keystore-path" && !is_known {
                draft.note(format!(
                    "{source} has the keys, and the agent takes a mount for a keystore by its name alone: with \"keystore\" in \
                     the path, no other container can be started with the same keys"
                ));
            }
        } else if !path.starts_with(&draft.data.1) && !existing.id.is_empty() && path.is_absolute() {
            inside(draft, existing, flag, path);
        }
    }
    let is_beside = |(_, path): &(&str, PathBuf)| path.starts_with(&draft.data.1);
    let has_store = paths.iter().any(|(flag, _)| *flag == "--keystore-path");
    if node.is_parachain() && (!has_store || paths.iter().any(is_beside)) {
        draft.note(
            "the keys lie beside the chain's data, which must not be copied to another host as it is: --keystore-path, \
             --node-key-file and a mount for each keep them apart",
        );
    }
}

/// No mount has the key. Until it is copied, the mount's source is missing, and nothing is started without it.
fn inside(draft: &mut Draft, existing: &ExistingContainer, flag: &str, path: &Path) {
    let source = Path::new(IDENTITY).join(path.file_name().unwrap_or_default());
    let (name, shown) = (&existing.name, path.display());
    draft.warn(format!(
        "{flag} {shown} is in the container itself, and is lost with it: \
         `mkdir -p {IDENTITY} && docker cp --archive {name}:{shown} {IDENTITY}/`"
    ));
    draft.mounts.push(DraftMount {
        source,
        target: path.to_owned(),
        read_only: false,
        comment: Some(format!("For {flag}.")),
    });
}
