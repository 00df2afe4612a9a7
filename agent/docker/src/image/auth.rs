//! Logins of registries, from a file that only its owner can read. Each is sent to its own registry only.
#![expect(clippy::disallowed_methods, reason = "jobs for the system disk")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;

use crate::ImageFault;

/// Longest credentials file that is read, in bytes; tokens of cloud registries take a few thousand.
const SIZE: u64 = 64 * 1024;

/// What a file is to contain.
const FORMS: &str = "expected {\"auths\": {\"HOST\": {\"auth\": \"…\"}}} or {\"username\": \"…\", \"password\": \"…\"}";
/// Names of Docker's default registry.
const HUB: [&str; 3] = ["index.docker.io", "docker.io", "registry-1.docker.io"];

/// The file in either form. No `Debug`: it would print passwords.
#[derive(Deserialize)]
#[serde(untagged)]
enum AuthFile {
    /// Docker's `config.json`.
    Docker { auths: BTreeMap<String, Login> },
    /// One login, which belongs to the registry of `collator.image`.
    One { username: String, password: String },
}

/// One entry of `auths`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Login {
    /// `USERNAME:PASSWORD` in base64.
    auth: String,
    username: String,
    password: String,
    #[serde(rename = "identitytoken")]
    identity_token: String,
}

/// The login for `registry`; `None` when the file has none. `own` is the registry of `collator.image`.
///
/// Read anew for every pull, so that a rotated password counts at once.
pub(super) fn read(path: &Path, own: &str, registry: &str) -> Result<Option<DockerCredentials>, ImageFault> {
    let fault = |reason: String| ImageFault::Credentials {
        path: path.to_owned(),
        reason,
    };
    login(&load(path)?, own, registry).map_err(fault)
}

/// The login in a file's text for `registry`, or what is wrong with the file.
pub(crate) fn login(text: &str, own: &str, registry: &str) -> Result<Option<DockerCredentials>, String> {
    let found = match parse(text)? {
        AuthFile::One { username, password } => {
            (host(own) == host(registry)).then(|| credentials(username, password, String::new()))
        }
        AuthFile::Docker { auths } => {
            let login = auths.into_iter().find(|(name, _)| host(name) == host(registry));
            let login = login.map(|(name, login)| {
                let helper = "has no login: the agent asks no credential helper";
                login
                    .decoded()
                    .ok_or_else(|| format!("auths.{name:?} {helper}; {FORMS}"))
            });
            login.transpose()?
        }
    };
    Ok(found.map(|found| DockerCredentials {
        serveraddress: Some(registry.to_owned()),
        ..found
    }))
}

/// Every password, token and encoded login of the file; none when it cannot be read.
pub(super) fn secrets(path: &Path) -> Vec<String> {
    load(path).map(|text| secrets_in(&text)).unwrap_or_default()
}

pub(crate) fn secrets_in(text: &str) -> Vec<String> {
    let mut secrets = match parse(text) {
        Ok(AuthFile::One { password, .. }) => vec![password],
        Ok(AuthFile::Docker { auths }) => auths.into_values().flat_map(Login::secrets).collect(),
        Err(_) => Vec::new(),
    };
    secrets.retain(|secret| !secret.is_empty());
    secrets
}

impl Login {
    fn decoded(self) -> Option<DockerCredentials> {
        let (username, password) = match self.pair() {
            Some(pair) => pair,
            None => (self.username, self.password),
        };
        let is_login = !self.identity_token.is_empty() || !(username.is_empty() || password.is_empty());
        is_login.then(|| credentials(username, password, self.identity_token))
    }

    fn secrets(self) -> [String; 4] {
        let decoded = self.pair().map(|(_, password)| password);
        [
            self.auth,
            decoded.unwrap_or_default(),
            self.password,
            self.identity_token,
        ]
    }

    /// Username and password of `auth`.
    fn pair(&self) -> Option<(String, String)> {
        let text = String::from_utf8(STANDARD.decode(self.auth.trim()).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        // Docker pads with zero bytes.
        Some((username.to_owned(), password.trim_end_matches('\0').to_owned()))
    }
}

fn credentials(username: String, password: String, token: String) -> DockerCredentials {
    DockerCredentials {
        username: Some(username),
        password: Some(password),
        identitytoken: (!token.is_empty()).then_some(token),
        ..DockerCredentials::default()
    }
}

/// The host, with its port, that a name in `auths` or in a reference stands for.
pub(crate) fn host(name: &str) -> String {
    let bare = name.split_once("://").map_or(name, |(_, bare)| bare);
    let host = bare.split('/').next().unwrap_or_default().to_ascii_lowercase();
    if HUB.contains(&host.as_str()) {
        HUB[0].to_owned()
    } else {
        host
    }
}

fn load(path: &Path) -> Result<String, ImageFault> {
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
    Ok(text)
}

fn parse(text: &str) -> Result<AuthFile, String> {
    // serde_json quotes values of the wrong type in its message, and a value may be the password.
    serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => FORMS.to_owned(),
        _ => format!("line {}, column {}: {FORMS}", error.line(), error.column()),
    })
}

#[cfg(test)]
mod tests;
