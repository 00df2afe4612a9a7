//! Keystore and node key on the volume. Only their public halves are ever shown.

mod import;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::signature::{Ed25519KeyPair, KeyPair};
use rustix::fs::OFlags;
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
    let (mut session, mut exposed) = (Vec::new(), Vec::new());
    for path in secrets(mount)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        session.extend(SessionKey::parse(&name));
        if is_exposed(&fs::symlink_metadata(&path)?) {
            exposed.push(path);
        }
    }
    session.sort();
    let peer_id = match read(&mount.join(NODE_KEY)) {
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

/// The paths of the keystore, its files and the node key that are present. Fails on a link, whose target may lie outside
/// the volume.
fn secrets(mount: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let keystore = mount.join(KEYSTORE);
    for path in [&keystore, &mount.join(NODE_KEY)] {
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_symlink() => {
                let words = format!("{} is a link: move the keys themselves onto the volume", path.display());
                return Err(io::Error::other(words));
            }
            Ok(_) => found.push(path.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if found.contains(&keystore) {
        for file in fs::read_dir(&keystore)? {
            found.push(file?.path());
        }
    }
    Ok(found)
}

fn is_exposed(meta: &fs::Metadata) -> bool {
    !meta.is_symlink() && meta.mode() & 0o077 != 0
}

/// Reads a key file. Fails on anything else: a link, a pipe, or a larger file.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err(io::Error::other("it is no key file: a regular one of at most 4 KiB"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
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
