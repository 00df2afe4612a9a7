//! Keystore and node key on the volume: put there with the right modes, and told by their public halves only.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustix::fs::OFlags;
use serde::Serialize;

use agent_config::ContainerUser;
use agent_core::key_paths::KEYSTORE;

/// The node key, a file that a container is given by itself.
pub const NODE_KEY: &str = "node-key";
/// Size of the largest key file, bytes.
const LARGEST: u64 = 4096;

/// What lies on a volume. It holds nothing secret.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Keys {
    pub session: Vec<SessionKey>,
    /// Of the node key; `None` when there is none that can be used.
    pub peer_id: Option<String>,
    /// What others than its owner may read.
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
    /// What the name of a file in a keystore says: the kind and the public key, both in hexadecimal.
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

/// Looks at what is below `mount`. Fails when that cannot be read.
pub fn look(mount: &Path) -> io::Result<Keys> {
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
    Ok(Keys {
        session,
        peer_id,
        exposed,
    })
}

/// The keystore, what lies in it, and the node key, as far as they are there. Fails when one is a link: what it leads to
/// may lie off the volume.
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

/// Makes what is missing: an empty keystore, and a node key. Never replaces one; what is there is closed to others.
pub fn init(mount: &Path, owner: Option<ContainerUser>) -> anyhow::Result<()> {
    for path in secrets(mount)? {
        close(&path, owner).with_context(|| format!("{} cannot be closed to others", path.display()))?;
    }
    folder(&mount.join(KEYSTORE), owner)?;
    let file = mount.join(NODE_KEY);
    if !file.exists() {
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .ok()
            .context("the kernel gives no random numbers")?;
        put(&file, hex::encode(seed).as_bytes(), owner)?;
    }
    Ok(())
}

/// Copies a keystore's keys. Files of the same content are left alone. Fails before anything is written when a name is
/// no key's, or another key lies there already.
pub fn import_keystore(mount: &Path, from: &Path, owner: Option<ContainerUser>) -> anyhow::Result<usize> {
    secrets(mount)?;
    let to = mount.join(KEYSTORE);
    let mut keys = Vec::new();
    for entry in fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        ensure!(
            SessionKey::parse(&name).is_some(),
            "{} is no key: a keystore's files are named by key type and public key in hexadecimal; take it out",
            entry.path().display()
        );
        let bytes = read(&entry.path()).with_context(|| format!("{} cannot be read", entry.path().display()))?;
        let target = to.join(&name);
        match read(&target) {
            Ok(there) => ensure!(
                there == bytes,
                "{} is there already and differs: nothing was replaced",
                target.display()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => keys.push((target, bytes)),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", target.display())),
        }
    }
    folder(&to, owner)?;
    for (target, bytes) in &keys {
        put(target, bytes, owner)?;
    }
    Ok(keys.len())
}

/// Copies a node key: 32 bytes, or 64 hexadecimal digits. Never replaces another one.
pub fn import_node_key(mount: &Path, from: &Path, owner: Option<ContainerUser>) -> anyhow::Result<()> {
    let bytes = read(from).with_context(|| format!("{} cannot be read", from.display()))?;
    let Some(new) = seed(&bytes) else {
        bail!(
            "{} is no node key: it has 32 bytes or 64 hexadecimal digits",
            from.display()
        );
    };
    secrets(mount)?;
    let file = mount.join(NODE_KEY);
    match read(&file) {
        Ok(there) => {
            ensure!(
                seed(&there) == Some(new),
                "{} is there already and is another key: move it away",
                file.display()
            );
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => put(&file, hex::encode(new).as_bytes(), owner),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

fn folder(path: &Path, owner: Option<ContainerUser>) -> anyhow::Result<()> {
    let make = || -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            made => made?,
        }
        own(path, owner)
    };
    make().with_context(|| format!("{} cannot be made", path.display()))
}

/// Writes a file that its owner alone may read, complete or not at all, and never over another.
fn put(path: &Path, bytes: &[u8], owner: Option<ContainerUser>) -> anyhow::Result<()> {
    let mut draft = PathBuf::from(path);
    draft.set_extension("new");
    let write = || -> io::Result<()> {
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut out = File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
        out.write_all(bytes)?;
        own(&draft, owner)?;
        out.sync_all()?;
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft)?;
        linked?;
        File::open(path.parent().unwrap_or(path))?.sync_all()
    };
    let written = write();
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written.with_context(|| format!("{} cannot be written", path.display()))
}

fn close(path: &Path, owner: Option<ContainerUser>) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if is_exposed(&meta) {
        fs::set_permissions(path, fs::Permissions::from_mode(meta.mode() & 0o700))?;
    }
    own(path, owner)
}

fn own(path: &Path, owner: Option<ContainerUser>) -> io::Result<()> {
    owner.map_or(Ok(()), |user| chown(path, Some(user.uid), Some(user.gid)))
}

/// Fails on what no key file is: a link, a pipe, or more than a key.
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

/// The name by which peers know a node with this key.
fn peer_id(seed: &[u8; 32]) -> Option<String> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
    // The identity multihash over the protobuf of an Ed25519 public key.
    let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
    bytes.extend_from_slice(pair.public_key().as_ref());
    Some(bs58::encode(bytes).into_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_node_key_is_shown_by_the_peer_id_that_the_network_knows() {
        // The published vector of RFC 8032 for the key, and libp2p's text form of it.
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let id = peer_id(&seed.try_into().unwrap()).unwrap();
        assert_eq!(id, "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV");
    }

    #[test]
    fn a_new_identity_is_closed_to_others_and_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path(), None).unwrap();
        let keys = look(dir.path()).unwrap();
        assert!(keys.session.is_empty() && keys.peer_id.is_some());
        assert_eq!(mode(&dir.path().join(NODE_KEY)), 0o600);
        assert_eq!(mode(&dir.path().join(KEYSTORE)), 0o700);
        init(dir.path(), None).unwrap();
        assert_eq!(look(dir.path()).unwrap(), keys);
        let other = dir.path().join("other");
        fs::write(&other, [7; 32]).unwrap();
        let error = format!("{:#}", import_node_key(dir.path(), &other, None).unwrap_err());
        assert!(error.contains("another key"), "{error}");
        assert_eq!(look(dir.path()).unwrap(), keys);
    }

    #[test]
    fn what_others_may_read_is_told_and_closed() {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path(), None).unwrap();
        let (keystore, key) = (dir.path().join(KEYSTORE), dir.path().join(NODE_KEY));
        let session = keystore.join(format!("61757261{}", "ab".repeat(32)));
        fs::write(&session, "words").unwrap();
        for path in [&keystore, &key, &session] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert_eq!(
            look(dir.path()).unwrap().exposed,
            [keystore.clone(), key.clone(), session.clone()]
        );
        init(dir.path(), None).unwrap();
        assert_eq!(look(dir.path()).unwrap().exposed, [] as [PathBuf; 0]);
        assert_eq!([&keystore, &key].map(|path| mode(path)), [0o700, 0o700]);
    }

    #[test]
    fn a_link_a_pipe_or_a_large_file_is_no_key_and_nothing_is_put_off_the_volume() {
        let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = format!("61757261{}", "ab".repeat(32));
        let source = from.path().join(&name);
        rustix::fs::mkfifoat(rustix::fs::CWD, &source, rustix::fs::Mode::RUSR).unwrap();
        let failed = |what: &str| {
            let error = format!("{:#}", import_keystore(dir.path(), from.path(), None).unwrap_err());
            assert!(error.contains(what), "{error}");
        };
        failed("no key file");
        fs::remove_file(&source).unwrap();
        fs::write(&source, [b'x'; 5000]).unwrap();
        failed("no key file");
        fs::write(&source, "words").unwrap();
        let off = tempfile::tempdir().unwrap();
        symlink(off.path(), dir.path().join(KEYSTORE)).unwrap();
        failed("is a link");
        assert!(init(dir.path(), None).is_err() && look(dir.path()).is_err());
        assert_eq!(fs::read_dir(off.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_keystore_is_taken_as_a_whole_or_not_at_all_and_no_secret_is_told() {
        let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = format!("61757261{}", "ab".repeat(32));
        fs::write(from.path().join(&name), "\"bottom drive obey lake\"").unwrap();
        fs::write(from.path().join("notes.txt"), "secret words").unwrap();
        let error = format!("{:#}", import_keystore(dir.path(), from.path(), None).unwrap_err());
        assert!(
            error.contains("notes.txt") && !error.contains("secret words"),
            "{error}"
        );
        assert!(!dir.path().join(KEYSTORE).exists());
        fs::remove_file(from.path().join("notes.txt")).unwrap();
        assert_eq!(import_keystore(dir.path(), from.path(), None).unwrap(), 1);
        assert_eq!(import_keystore(dir.path(), from.path(), None).unwrap(), 0);
        let keys = look(dir.path()).unwrap();
        assert_eq!(
            keys.session,
            [SessionKey {
                kind: "aura".into(),
                public: format!("0x{}", "ab".repeat(32))
            }]
        );
        assert_eq!(mode(&dir.path().join(KEYSTORE).join(&name)), 0o600);
        fs::write(from.path().join(&name), "\"other words\"").unwrap();
        let error = format!("{:#}", import_keystore(dir.path(), from.path(), None).unwrap_err());
        assert!(error.contains("differs") && !error.contains("words"), "{error}");
    }
}
