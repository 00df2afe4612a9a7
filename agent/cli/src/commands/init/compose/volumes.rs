//! Mounts in both notations of a compose file.

use std::path::PathBuf;

use agent_docker::{ExistingContainer, ExistingMount, Setting};

use super::ComposeFile;
use super::yaml::Yaml;

pub(super) fn add(file: &ComposeFile, container: &mut ExistingContainer, value: &Yaml) {
    let Yaml::List(entries) = value else { return };
    for entry in entries {
        match entry {
            Yaml::Text(text) => short(file, container, text),
            long => self::long(file, container, long),
        }
    }
}

/// `[SOURCE:]TARGET[:MODE]`.
fn short(file: &ComposeFile, container: &mut ExistingContainer, text: &str) {
    let mut parts = text.splitn(3, ':');
    let (first, target, mode) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let Some(target) = target else {
        container.others.push(anonymous(first));
        return;
    };
    let read_only = mode.is_some_and(|mode| mode.split(',').any(|option| option == "ro"));
    let is_path = first.starts_with(['/', '.', '~']);
    mount(file, container, is_path, first, target, read_only);
}

fn long(file: &ComposeFile, container: &mut ExistingContainer, entry: &Yaml) {
    let text = |key| entry.get(key).and_then(Yaml::text).unwrap_or_default();
    let (kind, source, target) = (text("type"), text("source"), text("target"));
    let read_only = entry.get("read_only").is_some_and(Yaml::is_true);
    match kind {
        "bind" => mount(file, container, true, source, target, read_only),
        "volume" if source.is_empty() => container.others.push(anonymous(target)),
        "volume" => mount(file, container, false, source, target, read_only),
        kind => container.others.push(Setting::new("mount", format!("{kind} {target}"))),
    }
}

/// A volume without a name: which one it is, only its container knows.
fn anonymous(target: &str) -> Setting {
    Setting::new("mount", format!("volume without a name on {target}"))
}

fn mount(
    file: &ComposeFile,
    container: &mut ExistingContainer,
    is_path: bool,
    source: &str,
    target: &str,
    read_only: bool,
) {
    let (source, volume) = if is_path {
        (file.path(source), None)
    } else {
        let Some(path) = volume_path(file, source) else {
            container.others.push(Setting::new(
                "mount",
                format!("volume {source} of another driver on {target}"),
            ));
            return;
        };
        (path, Some(file.full_name("volumes", source)))
    };
    container.mounts.push(ExistingMount {
        source,
        target: PathBuf::from(target),
        read_only,
        volume,
    });
}

/// Directory of a volume on this host; `None` where another driver than Docker's own has it.
fn volume_path(file: &ComposeFile, name: &str) -> Option<PathBuf> {
    let entry = file.tree.get("volumes").and_then(|all| all.get(name));
    let text = |key| entry.and_then(|entry| entry.get(key)).and_then(Yaml::text);
    if text("driver").is_some_and(|driver| driver != "local") {
        return None;
    }
    let options = entry.and_then(|entry| entry.get("driver_opts"));
    let option = |key| options.and_then(|options| options.get(key)).and_then(Yaml::text);
    if let Some(device) = option("device") {
        return option("o")
            .is_some_and(|o| o.split(',').any(|o| o == "bind"))
            .then(|| file.path(device));
    }
    Some(file.volume_root.join(file.full_name("volumes", name)).join("_data"))
}
