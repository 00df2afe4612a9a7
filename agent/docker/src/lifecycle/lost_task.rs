//! A process of a container that Docker does not know of: its daemon was killed between the start and the note of it.
//!
//! Such a process goes on with data and keys, and a new container would be a second collator beside it. Docker can neither
//! list nor stop it; the kernel names the container in the path of the process's control group, for everyone to read.

use std::fs;
use std::path::Path;

use agent_runtime::disk::{self, Disk};

/// Name of the runtime's own process, which waits for the order to start and touches nothing.
const RUNTIME: &str = "runc:[";

/// The id of a process of that container, other than the runtime's own; `None` also where processes cannot be seen.
pub(super) async fn process_of(container: &str) -> Option<u32> {
    let id = container.to_owned();
    let found = disk::run(Disk::System, move || find(Path::new("/proc"), &id)).await;
    found.ok().flatten()
}

#[expect(clippy::disallowed_methods, reason = "a job for the system disk")]
fn find(proc: &Path, container: &str) -> Option<u32> {
    let read = |pid: u32, file: &str| fs::read_to_string(proc.join(pid.to_string()).join(file)).unwrap_or_default();
    let entries = fs::read_dir(proc).ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| read(*pid, "cgroup").contains(container) && !read(*pid, "comm").starts_with(RUNTIME))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn process_of_the_container_is_found_but_not_the_runtimes_own() {
        let id = "55acfe417eb7ff784ab576681ab53fd90b4f4d138c0e2930c3b8f999ae82b63f";
        let proc = tempfile::tempdir().unwrap();
        let add = |pid: &str, name: &str, group: &str| {
            let dir = proc.path().join(pid);
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("comm"), format!("{name}\n")).unwrap();
            fs::write(dir.join("cgroup"), format!("0::{group}\n")).unwrap();
        };
        add("1", "systemd", "/init.scope");
        add("20", "runc:[2:INIT]", &format!("/system.slice/docker-{id}.scope"));
        add("self", "t0rn-collator", &format!("/docker/{id}"));
        assert_eq!(find(proc.path(), id), None);
        add("300", "t0rn-collator", &format!("/docker/{id}"));
        assert_eq!(find(proc.path(), id), Some(300));
        assert_eq!(find(proc.path(), &id.replace('5', "6")), None);
        assert_eq!(find(&proc.path().join("none"), id), None);
    }
}
