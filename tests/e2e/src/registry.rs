//! Image registries: one that asks for a password, and one that never answers.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::engine::Engine;
use crate::ports::Port;
use crate::wait;

/// The registry's only user and password.
pub const USER: &str = "collator";
pub const PASSWORD: &str = "not-a-secret";
/// bcrypt of [`PASSWORD`].
const HTPASSWD: &str = "collator:$2y$05$abcdefghijklmnopqrstuuVPNOToLP9MHdthRCXkVoiIF0qNKnk2G\n";
/// Base64 of `collator:not-a-secret`, as the Docker client keeps it.
const AUTH: &str = "Y29sbGF0b3I6bm90LWEtc2VjcmV0";

/// Debian's docker-registry on 127.0.0.1, with images in a temporary folder.
#[derive(Debug)]
pub struct Registry {
    port: Port,
    dir: TempDir,
    child: Child,
}

impl Registry {
    /// # Errors
    /// The package `docker-registry` is missing, or the registry does not come up.
    pub fn start() -> Result<Self> {
        let port = Port::free()?;
        let dir = tempfile::tempdir()?;
        let path = |name: &str| dir.path().join(name);
        fs::write(path("htpasswd"), HTPASSWD)?;
        fs::create_dir(path("client"))?;
        let auth = format!(
            r#"{{"auths": {{"127.0.0.1:{}": {{"auth": "{AUTH}"}}}}}}"#,
            port.number()
        );
        fs::write(path("client/config.json"), auth)?;
        fs::write(
            path("auth.json"),
            format!(r#"{{"username": "{USER}", "password": "{PASSWORD}"}}"#),
        )?;
        // The agent wants its file with credentials to be readable by its owner alone.
        fs::set_permissions(path("auth.json"), std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let mut config = File::create(path("config.yml"))?;
        writeln!(config, "version: 0.1\nlog: {{level: warn}}")?;
        writeln!(
            config,
            "storage: {{filesystem: {{rootdirectory: {}}}}}",
            path("images").display()
        )?;
        writeln!(config, "http: {{addr: \"127.0.0.1:{}\"}}", port.number())?;
        writeln!(
            config,
            "auth: {{htpasswd: {{realm: test, path: {}}}}}",
            path("htpasswd").display()
        )?;
        let log = File::create(path("log"))?;
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(path("config.yml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("failed to start docker-registry: is the package installed?")?;
        let registry = Self { port, dir, child };
        wait::until("the registry", Duration::from_secs(20), || {
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, registry.port.number()))?)
        })?;
        Ok(registry)
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// The file that `collator.registry_auth` wants.
    pub fn auth_file(&self) -> String {
        self.dir.path().join("auth.json").display().to_string()
    }

    /// A folder for `DOCKER_CONFIG` with which the Docker client is logged in.
    pub fn client_config(&self) -> String {
        self.dir.path().join("client").display().to_string()
    }

    /// Pushes an image of `engine` as `name` (`repository:tag`). Returns its digest, `sha256:…`.
    ///
    /// # Errors
    /// The push failed.
    pub fn push(&self, engine: &Engine, image: &str, name: &str) -> Result<String> {
        let reference = format!("{}/{name}", self.host());
        engine.docker(["tag", image, &reference])?;
        let mut push = engine.command();
        let output = wait::run(
            120,
            push.env("DOCKER_CONFIG", self.client_config())
                .args(["push", &reference]),
        )?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "docker push {reference}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        // The engine must get it from the registry, not find it at home.
        engine.docker(["rmi", &reference])?;
        let digest = text.split_whitespace().find(|word| word.starts_with("sha256:"));
        Ok(digest.with_context(|| format!("no digest in {text}"))?.to_owned())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Accepts every connection and never answers; ends with the process.
#[derive(Debug)]
pub struct HangingRegistry {
    port: u16,
}

impl HangingRegistry {
    /// # Errors
    /// No port is free.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
        Ok(Self { port })
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
