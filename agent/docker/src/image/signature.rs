//! Signatures of images, checked by the program `cosign` with a public key.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::PoisonError;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use serde_json::json;
use tokio::process::Command;
use tracing::info;

use super::{Docker, Error, ImageFault};
use agent_config::ImageReference;
use agent_core::units::show_duration;
use agent_runtime::disk::{self, Disk};
use agent_runtime::program;

/// Time for the registry and the arithmetic.
const LIMIT: Duration = Duration::from_mins(1);
/// Bytes of cosign's last words that are shown.
const WORDS: usize = 300;
/// Where the program is searched, as it is for root.
pub const PLACES: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
/// Verified images that are remembered; there are few names.
const VERIFIED_MAX: usize = 64;

impl Docker {
    /// Checks the signature of a pinned image where `collator.cosign_key` asks for it.
    ///
    /// Fails when it has none, when that is of another key, and when it cannot be checked.
    pub(crate) async fn require_signature(&self, pin: &str) -> Result<(), Error> {
        let spec = &self.spec;
        let Some(key) = spec.collator.cosign_key.as_deref() else {
            return Ok(());
        };
        // An image is what its digest says: once is enough.
        let is_known = |all: &Vec<String>| all.iter().any(|one| one == pin);
        if is_known(&self.shared.verified.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        let reference = ImageReference::parse(pin);
        if reference.digest.is_none() {
            let reason = "it came from no registry, where its signature would be".to_owned();
            return Err(self.image_error(ImageFault::Unsigned(reason)));
        }
        let login = self.credentials(&reference).await?;
        let program = disk::run(Disk::System, installed).await;
        let verified = match program.map_err(|error| self.image_error(ImageFault::Unsigned(error.to_string())))? {
            Some(program) => verify(&program, key, pin, login, &self.shared.cosign_dir).await,
            None => Err(format!("no program cosign in {}", PLACES.join(", "))),
        };
        verified.map_err(|reason| self.image_error(ImageFault::Unsigned(reason)))?;
        info!(image = pin, key = %key.display(), "signature verified");
        let mut all = self.shared.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < VERIFIED_MAX {
            all.push(pin.to_owned());
        }
        Ok(())
    }
}

/// The program, where it is installed.
#[expect(clippy::disallowed_methods, reason = "a job for the system disk")]
pub fn installed() -> Option<PathBuf> {
    let candidates = PLACES.iter().map(|place| Path::new(place).join("cosign"));
    candidates.into_iter().find(|path| path.is_file())
}

/// Runs `cosign verify`. The login goes by a file: arguments can be read by everybody on the host.
async fn verify(
    program: &Path,
    key: &Path,
    pin: &str,
    login: Option<DockerCredentials>,
    dir: &Path,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    let private = dir.to_owned();
    let written = disk::run_io(Disk::State, move || write_login(&private, login));
    written.await.map_err(failed)?;
    let mut command = Command::new(program);
    command
        .args(["verify", "--output", "text", "--insecure-ignore-tlog=true", "--key"])
        .arg(key)
        .arg(pin)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_passed_on)))
        .env("HOME", dir)
        .env("DOCKER_CONFIG", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let run = async { program::start(command).await?.wait_with_output().await };
    let ended = tokio::time::timeout(LIMIT, run).await;
    let file = dir.join(LOGIN);
    let removed = disk::run_io(Disk::State, move || remove(&file)).await;
    let output = match ended {
        Ok(output) => output.map_err(|error| format!("{}: {error}", program.display()))?,
        Err(_) => return Err(format!("cosign did not end within {}", show_duration(LIMIT))),
    };
    removed.map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let words: String = last
        .unwrap_or("no reason")
        .chars()
        .filter(|c| !c.is_control())
        .take(WORDS)
        .collect();
    Err(format!("cosign: {words}"))
}

/// The file that holds the login, as cosign expects it.
const LOGIN: &str = "config.json";

#[expect(clippy::disallowed_methods, reason = "a job for the state disk")]
fn write_login(dir: &Path, login: Option<DockerCredentials>) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let path = dir.join(LOGIN);
    if path.symlink_metadata().is_ok() {
        fs::remove_file(&path)?;
    }
    let mut auths = serde_json::Map::new();
    if let Some(login) = login {
        let entry = json!({
            "username": login.username, "password": login.password, "identitytoken": login.identitytoken,
        });
        auths.insert(login.serveraddress.unwrap_or_default(), entry);
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(json!({ "auths": auths }).to_string().as_bytes())
}

#[expect(clippy::disallowed_methods, reason = "a job for the state disk")]
fn remove(login: &Path) -> std::io::Result<()> {
    fs::remove_file(login)
}

/// Variables of the agent that cosign gets: how the network is reached, nothing else.
fn is_passed_on(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    [
        "PATH",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ]
    .contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const PIN: &str = "host:5000/org/node@sha256:aa";

    /// A program in cosign's place, and what came of it.
    async fn run(script: &str) -> (Result<(), String>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("cosign");
        let text = format!("#!/bin/sh\ncd {}\n{script}\n", dir.path().display());
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let login = DockerCredentials {
            username: Some("u".into()),
            password: Some("hunter2".into()),
            serveraddress: Some("host:5000".into()),
            ..DockerCredentials::default()
        };
        let (key, private) = (Path::new("/etc/key.pub"), dir.path().join("private"));
        // Another test's fork may hold the program open for a moment.
        loop {
            let done = verify(&program, key, PIN, Some(login.clone()), &private).await;
            match done {
                Err(reason) if reason.contains("Text file busy") => tokio::task::yield_now().await,
                done => return (done, dir),
            }
        }
    }

    #[tokio::test]
    async fn verification_gets_key_digest_and_the_registrys_login_by_file() {
        let script = "echo \"$@\" > arguments; cp \"$DOCKER_CONFIG/config.json\" login; env > environment";
        let (done, dir) = run(script).await;
        assert_eq!(done, Ok(()));
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let arguments = read("arguments");
        assert!(
            arguments.contains("--key /etc/key.pub") && arguments.trim_end().ends_with(PIN),
            "{arguments}"
        );
        assert!(!arguments.contains("hunter2") && !read("environment").contains("hunter2"));
        let login: serde_json::Value = serde_json::from_str(&read("login")).unwrap();
        assert_eq!(login["auths"]["host:5000"]["password"], "hunter2");
        assert!(
            !dir.path().join("private/config.json").exists(),
            "the login stays no longer than needed"
        );
    }

    #[tokio::test]
    async fn failed_verification_is_refused_with_cosigns_reason() {
        let (done, _dir) = run("echo 'main.go:69: error' >&2; echo 'no matching signatures' >&2; exit 12").await;
        assert_eq!(done, Err("cosign: no matching signatures".to_owned()));
    }

    #[tokio::test]
    async fn absent_program_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let key = Path::new("/etc/key.pub");
        let done = verify(&dir.path().join("cosign"), key, PIN, None, &dir.path().join("private")).await;
        assert!(done.unwrap_err().contains("No such file"));
    }

    #[tokio::test]
    async fn required_signature_without_program_or_digest_names_the_key() {
        let mut config = crate::spec::tests::config();
        let docker = Docker::new(&config).unwrap();
        assert!(docker.require_signature("sha256:id").await.is_ok(), "no key, no check");
        config.collator.cosign_key = Some("/etc/key.pub".into());
        let docker = Docker::new(&config).unwrap();
        let refused = docker.require_signature("sha256:id").await.unwrap_err().to_string();
        assert!(refused.contains("collator.cosign_key"), "{refused}");
    }
}
