//! Whether signatures of images can be verified, where the configuration asks for it.

use std::fs;
use std::path::Path;

use agent_config::Config;
use agent_docker::COSIGN_PLACES;

use super::report::Finding;

/// How a public key of cosign begins.
const KEY: &str = "-----BEGIN PUBLIC KEY-----";

/// Checks the key and the program `cosign`; nothing without `collator.cosign_key`.
pub(super) fn check_signature(config: &Config, cosign: Option<&Path>) -> Vec<Finding> {
    let Some(key) = &config.collator.cosign_key else {
        return Vec::new();
    };
    let found = match (fs::read_to_string(key), cosign) {
        (Err(error), _) => Err(format!("{}: {error}; correct collator.cosign_key", key.display())),
        (Ok(text), _) if !text.trim_start().starts_with(KEY) => Err(format!(
            "{} is no public key of cosign; give the .pub of cosign generate-key-pair",
            key.display()
        )),
        (_, None) => Err(format!(
            "no image can be verified, so none is started: there is no program cosign in {}; install cosign 2 (docs/update.md)",
            COSIGN_PLACES.join(", ")
        )),
        (_, Some(cosign)) => Ok(format!("{} verifies with {}", cosign.display(), key.display())),
    };
    vec![match found {
        Ok(text) => Finding::pass("signature", text),
        Err(text) => Finding::fail("signature", text),
    }]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;
    use crate::commands::check::report::CheckReport;

    fn found(key: Option<&Path>, cosign: Option<&Path>) -> String {
        let key = key.map_or_else(String::new, |key| format!("cosign_key = {key:?}\n"));
        let config = Config::parse(&format!("[collator]\nimage = \"a:1\"\n{key}"), "test").unwrap();
        CheckReport::new(check_signature(&config, cosign)).render()
    }

    #[test]
    fn missing_cosign_or_key_fails_where_signatures_are_required_and_only_there() {
        let dir = tempfile::tempdir().unwrap();
        let (key, program) = (dir.path().join("cosign.pub"), Path::new("/usr/bin/cosign"));
        assert!(!found(None, None).contains("signature"));
        assert!(found(Some(&key), Some(program)).contains("correct collator.cosign_key"));
        fs::write(&key, "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n").unwrap();
        assert!(found(Some(&key), Some(program)).contains("is no public key"));
        fs::write(&key, "-----BEGIN PUBLIC KEY-----\n").unwrap();
        let missing = found(Some(&key), None);
        assert!(
            missing.contains("FAIL") && missing.contains("no program cosign in /usr/local/bin"),
            "{missing}"
        );
        assert!(found(Some(&key), Some(program)).contains("PASS"));
    }
}
