//! Writes keys to the volume: never over another key, readable by their owner only.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use ring::rand::{SecureRandom, SystemRandom};

use super::{NODE_KEY, SessionKey, is_exposed, read, secrets, seed};
use agent_config::ContainerUser;
use agent_core::key_paths::KEYSTORE;

/// Makes a missing keystore and a missing node key. Never replaces one; removes the access of others from present ones.
pub fn init(mount: &Path, owner: Option<ContainerUser>) -> anyhow::Result<()> {
    for path in secrets(mount)? {
        restrict(&path, owner).with_context(|| format!("{} cannot be closed to others", path.display()))?;
    }
    make_folder(&mount.join(KEYSTORE), owner)?;
    let file = mount.join(NODE_KEY);
    if !file.exists() {
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .ok()
            .context("the kernel gives no random numbers")?;
        write_key(&file, hex::encode(seed).as_bytes(), owner)?;
    }
    Ok(())
}

/// Copies a keystore's keys. Returns how many are new. Fails before anything is written when a name is not a key's, or
/// another key of that name is present.
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
    make_folder(&to, owner)?;
    for (target, bytes) in &keys {
        write_key(target, bytes, owner)?;
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
        Err(error) if error.kind() == io::ErrorKind::NotFound => write_key(&file, hex::encode(new).as_bytes(), owner),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

fn make_folder(path: &Path, owner: Option<ContainerUser>) -> anyhow::Result<()> {
    let make = || -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            made => made?,
        }
        set_owner(path, owner)
    };
    make().with_context(|| format!("{} cannot be made", path.display()))
}

/// Writes a key file atomically, mode 0600, and never over another.
fn write_key(path: &Path, bytes: &[u8], owner: Option<ContainerUser>) -> anyhow::Result<()> {
    let mut draft = PathBuf::from(path);
    draft.set_extension("new");
    let write = || -> io::Result<()> {
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut out = File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
        out.write_all(bytes)?;
        set_owner(&draft, owner)?;
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

fn restrict(path: &Path, owner: Option<ContainerUser>) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if is_exposed(&meta) {
        fs::set_permissions(path, fs::Permissions::from_mode(meta.mode() & 0o700))?;
    }
    set_owner(path, owner)
}

fn set_owner(path: &Path, owner: Option<ContainerUser>) -> io::Result<()> {
    owner.map_or(Ok(()), |user| chown(path, Some(user.uid), Some(user.gid)))
}
