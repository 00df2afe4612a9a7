//! Why a container could not be started, by what Docker passes on of runtime and kernel.

use crate::error::layers::{begins, has, layers};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum StartFault {
    Executable,
    PortTaken,
    /// The engine's own limit of file descriptors lies below `collator.nofile`.
    FileLimit,
    /// The runtime has a process of this container, which Docker does not know: it was killed within a start.
    TaskExists,
    /// The container refers to something that is gone; a new one may not.
    Broken,
}

/// The fault in what Docker passes on of runtime and kernel.
pub(super) fn classify(reason: &str) -> StartFault {
    let parts = layers(reason);
    // The kernel's words for a file that cannot be executed, behind runc's `exec: "FILE"` or `exec FILE`.
    let refused = [
        "exec format error",
        "permission denied",
        "no such file or directory",
        "is a directory",
    ];
    let at_exec = parts
        .iter()
        .position(|part| *part == "exec" || part.starts_with("exec /") || part.starts_with("exec user process"));
    let executable = has(&parts, &["exec format error"])
        || begins(&parts, &["executable file not found in"])
        || at_exec.is_some_and(|at| has(&parts[at..], &refused));
    if has(&parts, &["port is already allocated", "address already in use"]) {
        StartFault::PortTaken
    } else if begins(&parts, &["error setting rlimit type 7", "error setting RLIMIT_NOFILE"]) {
        StartFault::FileLimit
    } else if begins(&parts, &["task "]) && has(&parts, &["already exists"]) {
        StartFault::TaskExists
    } else if executable {
        StartFault::Executable
    } else {
        StartFault::Broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runtime_says_decides_what_is_done() {
        let runc = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start \
                    container process: ";
        for (text, expected) in [
            (format!("{runc}exec: \"node\": executable file not found in $PATH: unknown"), StartFault::Executable),
            (format!("{runc}exec: \"/node\": permission denied: unknown"), StartFault::Executable),
            (format!("{runc}exec: \"/node\": stat /node: no such file or directory: unknown"), StartFault::Executable),
            (format!("{runc}exec /node: exec format error: unknown"), StartFault::Executable),
            ("driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already allocated".into(),
             StartFault::PortTaken),
            ("failed to listen on TCP socket: listen tcp4 0.0.0.0:80: bind: address already in use".into(),
             StartFault::PortTaken),
            (format!("{runc}error during container init: error setting rlimit type 7: operation not permitted: unknown"),
             StartFault::FileLimit),
            ("task 55acfe417eb7: already exists".into(), StartFault::TaskExists),
            ("network 0f3c not found".into(), StartFault::Broken),
            ("error mounting \"/x/exec: y\" to rootfs: permission denied".into(), StartFault::Broken),
            ("error creating overlay mount to /x/merged: no such file or directory".into(), StartFault::Broken),
        ] {
            assert_eq!(classify(&text), expected, "{text}");
        }
    }
}
