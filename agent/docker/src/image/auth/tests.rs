#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::Permissions;

use super::*;

const ONE: &str = r#"{"username": "u", "password": "hunter2"}"#;
/// `me:hub-secret`, `me:p:q` and `me:own-secret` in base64.
const DOCKER: &str = r#"{
    "auths": {
        "https://index.docker.io/v1/": {"auth": "bWU6aHViLXNlY3JldA=="},
        "host:5000": {"auth": "bWU6cDpx"},
        "https://own.example.com/v2/": {"username": "me", "password": "own-secret"},
        "token.example.com": {"auth": "", "identitytoken": "a-token"},
        "helped.example.com": {}
    },
    "credsStore": "pass"
}"#;

fn file(text: &str, mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.json");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (dir, path)
}

fn login(text: &str, registry: &str) -> Result<Option<(String, String)>, String> {
    let (_dir, path) = file(text, 0o600);
    let found = read(&path, "own.example.com", registry).map_err(|fault| fault.to_string())?;
    assert!(
        found
            .iter()
            .all(|found| found.serveraddress.as_deref() == Some(registry))
    );
    Ok(found.map(|found| (found.username.unwrap(), found.password.unwrap())))
}

fn of(username: &str, password: &str) -> (String, String) {
    (username.to_owned(), password.to_owned())
}

#[test]
fn single_login_belongs_to_the_configured_registry_only() {
    assert_eq!(login(ONE, "own.example.com").unwrap(), Some(of("u", "hunter2")));
    for foreign in [
        "127.0.0.1:15999",
        "own.example.com:5000",
        "example.com",
        "https://index.docker.io/v1/",
    ] {
        assert_eq!(login(ONE, foreign).unwrap(), None, "{foreign}");
    }
}

#[test]
fn login_of_docker_config_belongs_to_its_registry_only() {
    for (registry, expected) in [
        ("https://index.docker.io/v1/", Some(of("me", "hub-secret"))),
        ("host:5000", Some(of("me", "p:q"))),
        ("own.example.com", Some(of("me", "own-secret"))),
        ("token.example.com", Some(of("", ""))),
        ("host", None),
        ("host:5001", None),
        ("evil.example", None),
    ] {
        assert_eq!(login(DOCKER, registry).unwrap(), expected, "{registry}");
    }
}

#[test]
fn docker_hub_is_known_under_each_of_its_names() {
    for name in [
        "docker.io",
        "index.docker.io",
        "https://index.docker.io/v1/",
        "registry-1.docker.io",
    ] {
        let text = format!(r#"{{"auths": {{"{name}": {{"auth": "bWU6cDpx"}}}}}}"#);
        assert_eq!(
            login(&text, "https://index.docker.io/v1/").unwrap(),
            Some(of("me", "p:q")),
            "{name}"
        );
        assert_eq!(login(&text, "own.example.com").unwrap(), None, "{name}");
    }
}

#[test]
fn login_in_a_credential_helper_is_refused_with_the_forms() {
    let error = login(DOCKER, "helped.example.com").unwrap_err();
    assert!(
        error.contains("helped.example.com") && error.contains("credential helper"),
        "{error}"
    );
}

#[test]
fn secrets_of_the_file_are_all_known() {
    let (_dir, path) = file(DOCKER, 0o600);
    let found = secrets(&path);
    for secret in ["hub-secret", "bWU6aHViLXNlY3JldA==", "p:q", "own-secret", "a-token"] {
        assert!(found.iter().any(|one| one == secret), "{secret}");
    }
    let (_dir, path) = file(ONE, 0o600);
    assert_eq!(secrets(&path), ["hunter2"]);
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_cure() {
    for mode in [0o640, 0o604, 0o644] {
        let (_dir, path) = file(ONE, mode);
        let error = read(&path, "host", "host").err().unwrap().to_string();
        assert!(
            error.contains(&format!("mode {mode:04o}")) && error.contains("chmod 600"),
            "{error}"
        );
    }
}

#[test]
fn a_broken_file_is_refused_without_showing_what_is_in_it() {
    for text in [
        "",
        "{",
        r#"{"username": "u", "password": 5551234}"#,
        r#"{"password": "hunter2"}"#,
        r#"{"auths": {"host": {"auth": 5551234}}}"#,
        r#"{"auths": ["hunter2"]}"#,
    ] {
        let error = login(text, "host").unwrap_err();
        assert!(error.contains("expected"), "{error}");
        assert!(!error.contains("5551234") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn an_endless_file_is_not_read_to_its_end() {
    let error = login(&" ".repeat(70_000), "host").unwrap_err();
    assert!(error.contains("larger than"), "{error}");
}

#[test]
fn a_missing_file_names_its_key() {
    let fault = read(Path::new("/nonexistent/registry.json"), "host", "host");
    let fault = fault.err().unwrap().to_string();
    assert!(
        fault.contains("/nonexistent/registry.json") && fault.contains("collator.registry_auth"),
        "{fault}"
    );
}
