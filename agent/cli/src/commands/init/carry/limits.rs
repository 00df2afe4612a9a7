//! Limits, the log, and confinement.

use std::time::Duration;

use agent_config::{show_duration, show_size};
use agent_docker::ExistingContainer;

use crate::commands::init::draft::Draft;
use crate::commands::init::render::quote;
use crate::commands::init::size::human_size;

/// Capabilities that an entrypoint needs which begins as root, gives directories to a user and becomes that user.
const ROOT: [&str; 6] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"];
/// The longest `collator.stop_timeout`, seconds.
const LONGEST_STOP: u64 = 3600;

pub(super) fn carry(draft: &mut Draft, existing: &ExistingContainer, is_root: bool) {
    if let Some(memory) = existing.memory.filter(|memory| *memory >= 6 << 20) {
        draft.set("memory", quote(&show_size(memory)), None);
    }
    if let Some(nofile) = existing.nofile {
        let kept = nofile.clamp(1024, 1_073_741_816);
        draft.set("nofile", kept.to_string(), None);
        if kept != nofile {
            draft.note(format!("{nofile} open files: {kept} from now on"));
        }
    }
    if let Some(seconds) = existing.stop_timeout {
        // A negative one is without end.
        let kept = u64::try_from(seconds).map_or(LONGEST_STOP, |seconds| seconds.clamp(1, LONGEST_STOP));
        let shown = show_duration(Duration::from_secs(kept));
        if u64::try_from(seconds) != Ok(kept) {
            draft.note(format!("the time to stop, {seconds} s: {shown} from now on"));
        }
        draft.set("stop_timeout", quote(&shown), None);
    }
    log(draft, existing);
    confinement(draft, existing, is_root);
    if existing.is_removed_on_exit {
        draft.warn(
            "rm: the container goes when it is stopped, so that there is no way back to it: `docker commit` keeps it",
        );
    }
    let policy = &existing.restart;
    if !matches!(policy.name.as_str(), "always" | "unless-stopped") {
        draft.note(format!(
            "the restart policy {policy}: the agent starts the collator again after every end; `t0rn-agent stop` keeps it down"
        ));
    }
}

fn log(draft: &mut Draft, existing: &ExistingContainer) {
    let driver = existing.log_driver.as_str();
    if !matches!(driver, "" | "json-file") {
        draft.note(format!(
            "the log driver {driver}: the agent reads the last lines of a run from Docker's json-file; `docker logs` goes on to \
             work, and a shipper of logs can read its files"
        ));
        return;
    }
    for (name, value) in &existing.log_options {
        match (name.as_str(), human_size(value, 1000), value.parse::<u32>()) {
            ("max-size", Some(size), _) => draft.set("log_max_size", quote(&show_size(size.max(64 << 10))), None),
            ("max-file", _, Ok(files)) => draft.set("log_max_files", files.clamp(1, 1000).to_string(), None),
            _ => draft.note(format!("the log option {name}: there is no key for it")),
        }
    }
}

fn confinement(draft: &mut Draft, existing: &ExistingContainer, is_root: bool) {
    let confinement = &existing.confinement;
    if !confinement.read_only {
        let about =
            "The image's own files stay writable, as they were; true is safer where the node writes to its data alone.";
        draft.set("read_only", "false".to_owned(), Some(about));
    }
    if let Some(limit) = confinement.pids_limit {
        draft.set("pids_limit", limit.min(4_194_304).to_string(), None);
    }
    let bare = |name: &String| name.trim_start_matches("CAP_").to_ascii_uppercase();
    let (add, drop): (Vec<_>, Vec<_>) = (
        confinement.cap_add.iter().map(bare).collect(),
        confinement.cap_drop.iter().map(bare).collect(),
    );
    let root = ROOT.into_iter().map(str::to_owned);
    let mut kept: Vec<String> = root
        .filter(|name| is_root && !drop.contains(name) && !drop.contains(&"ALL".to_owned()))
        .collect();
    kept.extend(add);
    kept.sort();
    kept.dedup();
    if !kept.is_empty() {
        let list: Vec<_> = kept.iter().map(|name| quote(name)).collect();
        let about = is_root
            .then_some("For an entrypoint that runs as root and becomes another user; without it, none are kept.");
        draft.set("cap_add", format!("[{}]", list.join(", ")), about);
    }
    if confinement.no_new_privileges && drop.contains(&"ALL".to_owned()) {
        return;
    }
    draft.note(
        "the container is confined more than Docker does: no new privileges, no capabilities but collator.cap_add, at most \
         8192 processes (collator.no_new_privileges, cap_add, pids_limit)",
    );
}
