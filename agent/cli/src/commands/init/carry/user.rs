//! The user that the collator runs as, in numbers.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use agent_docker::ExistingContainer;

use crate::commands::init::draft::Draft;

/// Sets the user; returns whether it is root.
pub(super) fn carry(draft: &mut Draft, existing: &ExistingContainer) -> bool {
    let given = if existing.user.is_empty() {
        &existing.image.user
    } else {
        &existing.user
    };
    let (name, group) = given.split_once(':').unwrap_or((given, ""));
    if matches!(name, "" | "0" | "root") {
        // Of a container that is not there yet, the image decides, which may not be on this host.
        let is_unknown = existing.id.is_empty() && existing.image.id.is_empty() && name.is_empty();
        draft.user = if is_unknown { String::new() } else { "0:0".to_owned() };
        draft.user_comment = is_unknown.then(|| "The image's own.".to_owned());
        return true;
    }
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    if is_number(name) && is_number(group) {
        given.clone_into(&mut draft.user);
    } else if *given == existing.image.user {
        draft.user_comment = Some(format!("The image's own, {given}."));
    } else if let Some(ids) = existing.pid.and_then(of_process) {
        draft.user_comment = Some(format!("{given} in the container."));
        draft.user = ids;
    } else if let Ok(data) = fs::metadata(&draft.data.0) {
        draft.user = format!("{}:{}", data.uid(), data.gid());
        draft.user_comment = Some(format!(
            "{given} in the container: here, the owner of the chain's data."
        ));
    } else {
        draft.warn(format!(
            "the user {given} is not known as a user and a group in numbers: `docker run --rm --entrypoint id {} {given}`, then write them into \
             collator.user; until then it is the image's own",
            draft.image
        ));
    }
    false
}

/// `UID:GID` of a process of this host.
fn of_process(pid: i64) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let id = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        // Real, effective, saved, of the file system.
        line.split_whitespace().nth(1)
    };
    Some(format!("{}:{}", id("Uid:")?, id("Gid:")?))
}
