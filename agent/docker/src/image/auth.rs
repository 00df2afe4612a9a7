//! The registry's credentials, from a file that only its owner can read.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bollard::auth::DockerCredentials;
use serde::Deserialize;

use crate::ImageFault;

/// Longest credentials file that is read, in bytes; tokens of cloud registries take a few thousand.
const SIZE: u64 = 64 * 1024;

/// No `Debug`: it would print the password.
#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

/// Read anew for every pull, so that a rotated password counts at once.
pub(super) fn read(path: &Path, registry: &str) -> Result<DockerCredentials, ImageFault> {
    let fault = |reason: String| ImageFault::Credentials {
        path: path.to_owned(),
        reason,
    };
    // Looked at before it is opened: to open a named pipe is to wait for its writer.
    let meta = fs::metadata(path).map_err(|error| fault(format!("{error}; check collator.registry_auth")))?;
    if !meta.is_file() {
        return Err(fault("is not a file; correct collator.registry_auth".to_owned()));
    }
    let mode = meta.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(fault(format!(
            "mode {mode:04o} lets others read the password; `chmod 600 {}`",
            path.display()
        )));
    }
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(SIZE + 1).read_to_string(&mut text));
    read.map_err(|error| fault(format!("{error}; check collator.registry_auth")))?;
    if text.len() as u64 > SIZE {
        return Err(fault(format!("larger than {SIZE} bytes; that is no credentials file")));
    }
    // serde_json quotes values of the wrong type in its message, and a value may be the password.
    let login: Login = serde_json::from_str(&text).map_err(|error| {
        fault(format!(
            "line {}, column {}: expected {{\"username\": \"…\", \"password\": \"…\"}}",
            error.line(),
            error.column()
        ))
    })?;
    Ok(DockerCredentials {
        username: Some(login.username),
        password: Some(login.password),
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::fs::Permissions;

    use super::*;

    fn attempt(text: &str, mode: u32) -> Result<DockerCredentials, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.json");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        read(&path, "host:5000").map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_login_is_read_for_its_registry() {
        let login = attempt(r#"{"username": "u", "password": "p"}"#, 0o600).unwrap();
        assert_eq!(login.username.as_deref(), Some("u"));
        assert_eq!(login.password.as_deref(), Some("p"));
        assert_eq!(login.serveraddress.as_deref(), Some("host:5000"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_cure() {
        for mode in [0o640, 0o604, 0o644] {
            let error = attempt(r#"{"username": "u", "password": "p"}"#, mode).unwrap_err();
            assert!(
                error.contains(&format!("mode {mode:04o}")) && error.contains("chmod 600"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_broken_file_is_located_without_showing_what_is_in_it() {
        for text in [
            "",
            "{",
            r#"{"username": "u", "password": 5551234}"#,
            r#"{"password": "hunter2"}"#,
        ] {
            let error = attempt(text, 0o600).unwrap_err();
            assert!(error.contains("line 1") || error.contains("line 0"), "{error}");
            assert!(!error.contains("5551234") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_endless_file_is_not_read_to_its_end() {
        let error = attempt(&" ".repeat(70_000), 0o600).unwrap_err();
        assert!(error.contains("larger than"), "{error}");
    }

    #[test]
    fn a_missing_file_names_its_key() {
        let fault = read(Path::new("/nonexistent/registry.json"), "host")
            .err()
            .unwrap()
            .to_string();
        assert!(
            fault.contains("/nonexistent/registry.json") && fault.contains("collator.registry_auth"),
            "{fault}"
        );
    }
}
