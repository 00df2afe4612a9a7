//! Writes keys to the volume: never over another key, readable by their owner only.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use agent_files::{Dir, printable};
use anyhow::{Context as _, bail, ensure};
use ring::rand::{SecureRandom, SystemRandom};

use super::{LARGEST, NODE_KEY, Secret, SessionKey, Volume, no_key_file, read, seed};
use agent_config::ContainerUser;
use agent_core::key_paths::KEYSTORE;

/// Makes a missing keystore and a missing node key. Never replaces one; removes the access of others from present ones.
pub fn init(mount: &Path, owner: Option<ContainerUser>) -> anyhow::Result<()> {
    let mut volume = Volume::open(mount)?;
    for secret in volume.secrets()? {
        let shown = printable(&secret.path.display().to_string());
        restrict(&secret, owner).with_context(|| format!("{shown} cannot be closed to others"))?;
    }
    volume.make_keystore(owner)?;
    if !volume.root.has(NODE_KEY)? {
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .ok()
            .context("the kernel gives no random numbers")?;
        write_key(&volume.root, NODE_KEY, hex::encode(seed).as_bytes(), owner)?;
    }
    Ok(())
}

/// Copies a keystore's keys. Returns how many are new. Fails before anything is written when a name is not a key's, or
/// another key of that name is present.
pub fn import_keystore(mount: &Path, from: &Path, owner: Option<ContainerUser>) -> anyhow::Result<usize> {
    let mut volume = Volume::open(mount)?;
    volume.secrets()?;
    let mut keys = Vec::new();
    let source = Dir::open(from).with_context(|| format!("{} cannot be read", from.display()))?;
    for name in source.names()? {
        let name = name.to_string_lossy().into_owned();
        let path = from.join(&name);
        let shown = printable(&path.display().to_string());
        ensure!(
            SessionKey::parse(&name).is_some(),
            "{shown} is no key: a keystore's files are named by key type and public key in hexadecimal; take it out",
        );
        let bytes = source
            .read_file(&name, LARGEST)
            .map_err(no_key_file)
            .with_context(|| format!("{shown} cannot be read"))?;
        match volume.key(&name) {
            Ok(there) => ensure!(
                there == bytes,
                "{} is there already and differs: nothing was replaced",
                mount.join(KEYSTORE).join(&name).display()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => keys.push((name, bytes)),
            Err(error) => {
                let target = mount.join(KEYSTORE).join(&name);
                return Err(error).with_context(|| format!("{} cannot be read", target.display()));
            }
        }
    }
    let keystore = volume.make_keystore(owner)?;
    for (name, bytes) in &keys {
        write_key(keystore, name, bytes, owner)?;
    }
    Ok(keys.len())
}

/// Copies a node key: 32 bytes or 64 hexadecimal digits. Never replaces another one.
pub fn import_node_key(mount: &Path, from: &Path, owner: Option<ContainerUser>) -> anyhow::Result<()> {
    let bytes = read(from).with_context(|| format!("{} cannot be read", from.display()))?;
    let Some(new) = seed(&bytes) else {
        bail!(
            "{} is no node key: it has 32 bytes or 64 hexadecimal digits",
            from.display()
        );
    };
    let volume = Volume::open(mount)?;
    volume.secrets()?;
    let file = mount.join(NODE_KEY);
    match volume.root.read_file(NODE_KEY, LARGEST) {
        Ok(there) => {
            ensure!(
                seed(&there) == Some(new),
                "{} is there already and is another key: move it away",
                file.display()
            );
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_key(&volume.root, NODE_KEY, hex::encode(new).as_bytes(), owner)
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

impl Volume {
    /// A key in the keystore.
    fn key(&self, name: &str) -> io::Result<Vec<u8>> {
        match &self.keystore {
            Some(keystore) => keystore.read_file(name, LARGEST),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn make_keystore(&mut self, owner: Option<ContainerUser>) -> anyhow::Result<&Dir> {
        let make = || -> io::Result<Dir> {
            let made = self.root.make_dir(KEYSTORE, 0o700)?;
            set_owner(made.handle(), owner)?;
            made.sync()?;
            self.root.sync()?;
            Ok(made)
        };
        let keystore = match self.keystore.take() {
            Some(keystore) => keystore,
            None => make().with_context(|| format!("{} cannot be made", self.root.path().join(KEYSTORE).display()))?,
        };
        Ok(self.keystore.insert(keystore))
    }
}

/// Writes a key file atomically, mode 0600, and never over another.
fn write_key(dir: &Dir, name: &str, bytes: &[u8], owner: Option<ContainerUser>) -> anyhow::Result<()> {
    let draft = format!("{name}.new");
    let write = || -> io::Result<()> {
        dir.remove_file(&draft)?;
        let mut out = dir.create(&draft, 0o600)?;
        out.write_all(bytes)?;
        set_owner(&out, owner)?;
        out.sync_all()?;
        dir.rename(OsStr::new(&draft), dir, OsStr::new(name))?;
        dir.sync()
    };
    let written = write();
    if written.is_err() {
        let _ = dir.remove_file(&draft);
    }
    written.with_context(|| format!("{} cannot be written", dir.path().join(name).display()))
}

fn restrict(secret: &Secret, owner: Option<ContainerUser>) -> io::Result<()> {
    let (has, own) = (secret.handle.metadata()?.uid(), rustix::process::geteuid().as_raw());
    if owner.is_some_and(|user| ![0, own, user.uid].contains(&has)) {
        let text = format!("it belongs to the user {has}, who is neither root nor the collator's: chown or remove it");
        return Err(io::Error::other(text));
    }
    if secret.is_exposed()? {
        let mode = secret.handle.metadata()?.mode() & 0o700;
        secret.handle.set_permissions(PermissionsExt::from_mode(mode))?;
    }
    set_owner(&secret.handle, owner)
}

fn set_owner(file: &File, owner: Option<ContainerUser>) -> io::Result<()> {
    owner.map_or(Ok(()), |user| fchown(file, Some(user.uid), Some(user.gid)))
}
