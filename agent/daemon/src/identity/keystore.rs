//! Keystore and node key on the volume. Only their public halves are ever shown.
#![expect(clippy::disallowed_methods, reason = "commands without a loop")]

mod import;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use agent_files::{Dir, Refusal, is_link, printable, read_file};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::Serialize;

pub use self::import::{import_keystore, import_node_key, init};
use agent_core::key_paths::KEYSTORE;

/// File of the node key, which is mounted into the container by itself.
pub const NODE_KEY: &str = "node-key";
/// Size of the largest key file, bytes.
const LARGEST: u64 = 4096;

/// The keys on a volume, without anything secret.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct StoredKeys {
    pub session: Vec<SessionKey>,
    /// Peer id of the node key; `None` without a usable one.
    pub peer_id: Option<String>,
    /// Files and folders that others than their owner may access.
    pub exposed: Vec<PathBuf>,
}

/// The public half of a key in a keystore.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SessionKey {
    /// Four letters, such as `aura`.
    pub kind: String,
    /// Hexadecimal.
    pub public: String,
}

impl SessionKey {
    /// Parses the name of a keystore file: kind and public key in hexadecimal.
    fn parse(name: &str) -> Option<Self> {
        let digits = name.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        // Public keys have 32 bytes, or 33 with ECDSA.
        if !digits || !matches!(name.len(), 72 | 74) {
            return None;
        }
        let (kind, public) = name.split_at(8);
        let letters = hex::decode(kind).ok()?;
        let kind = String::from_utf8(letters)
            .ok()
            .filter(|kind| kind.bytes().all(|c| c.is_ascii_graphic()))?;
        Some(Self {
            kind,
            public: format!("0x{public}"),
        })
    }
}

/// Reads the keys below `mount`.
pub fn inspect(mount: &Path) -> io::Result<StoredKeys> {
    let volume = Volume::open(mount)?;
    let (mut session, mut exposed) = (Vec::new(), Vec::new());
    for secret in volume.secrets()? {
        session.extend(SessionKey::parse(&secret.name));
        if secret.is_exposed()? {
            exposed.push(secret.path);
        }
    }
    session.sort();
    let peer_id = match volume.root.read_file(NODE_KEY, LARGEST) {
        Ok(bytes) => seed(&bytes).and_then(|seed| peer_id(&seed)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(StoredKeys {
        session,
        peer_id,
        exposed,
    })
}

/// The volume's directories. The keystore belongs to the collator's user, who may put anything there at any moment.
struct Volume {
    root: Dir,
    keystore: Option<Dir>,
}

/// The keystore, a file in it, or the node key: what was opened, not what the name stands for later.
struct Secret {
    name: String,
    path: PathBuf,
    handle: File,
}

impl Secret {
    fn is_exposed(&self) -> io::Result<bool> {
        Ok(self.handle.metadata()?.mode() & 0o077 != 0)
    }
}

impl Volume {
    fn open(mount: &Path) -> io::Result<Self> {
        let root = Dir::open(mount)?;
        let keystore = match root.dir(KEYSTORE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            keystore => Some(keystore.map_err(explain)?),
        };
        Ok(Self { root, keystore })
    }

    /// The keystore, its files and the node key that are present. Fails on anything but a regular file with one name: the
    /// target of a link may lie outside the volume.
    fn secrets(&self) -> io::Result<Vec<Secret>> {
        let mut found = Vec::new();
        if let Some(keystore) = &self.keystore {
            found.push(Secret {
                name: KEYSTORE.to_owned(),
                path: keystore.path().to_owned(),
                handle: keystore.handle().try_clone()?,
            });
        }
        match self.root.file(NODE_KEY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            handle => found.push(Secret {
                name: NODE_KEY.to_owned(),
                path: self.root.path().join(NODE_KEY),
                handle: handle.map_err(explain)?,
            }),
        }
        let Some(keystore) = &self.keystore else {
            return Ok(found);
        };
        for name in keystore.names()? {
            match keystore.file(&name) {
                // Removed since its directory was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                handle => found.push(Secret {
                    path: keystore.path().join(&name),
                    name: name.to_string_lossy().into_owned(),
                    handle: handle.map_err(explain)?,
                }),
            }
        }
        Ok(found)
    }
}

/// A refused link, with the remedy for keys.
fn explain(error: io::Error) -> io::Error {
    match Refusal::find(&error) {
        Some(refusal) if is_link(&error) => {
            let path = printable(&refusal.path.display().to_string());
            io::Error::other(format!("{path} is a link: move the keys themselves onto the volume"))
        }
        _ => error,
    }
}

/// Reads a key file of the operator's. Fails on anything else: a link, a pipe, or a larger file.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_file(path, LARGEST).map_err(no_key_file)
}

/// What was opened is no file, or a large one; errors of the disk stay as they are.
fn no_key_file(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other => io::Error::other("it is no key file: a regular one of at most 4 KiB"),
        _ => error,
    }
}

fn seed(bytes: &[u8]) -> Option<[u8; 32]> {
    if let Ok(raw) = bytes.try_into() {
        return Some(raw);
    }
    let text = std::str::from_utf8(bytes).ok()?.trim();
    hex::decode(text).ok()?.try_into().ok()
}

/// The peer id of a node with this key.
fn peer_id(seed: &[u8; 32]) -> Option<String> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
    // The identity multihash over the protobuf of an Ed25519 public key.
    let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
    bytes.extend_from_slice(pair.public_key().as_ref());
    Some(bs58::encode(bytes).into_string())
}

#[cfg(test)]
mod tests;
