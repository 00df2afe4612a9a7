//! A disk of its own for the agent's state, to be filled and frozen: a loop device where the machine has them, else memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait;
use tempfile::NamedTempFile;

/// Size, bytes.
const SIZE: u64 = 64 << 20;

/// Mounted until it is dropped; thawed before.
#[derive(Debug)]
pub(crate) struct StateDisk {
    mount: PathBuf,
    /// The file behind the loop device.
    image: Option<NamedTempFile>,
}

impl StateDisk {
    pub(crate) fn mount(mount: &Path) -> Result<Self> {
        fs::create_dir_all(mount)?;
        let path = mount.to_string_lossy();
        let image = NamedTempFile::new()?;
        image.as_file().set_len(SIZE)?;
        let file = image.path().to_string_lossy();
        let on_loop = run("mkfs.ext4", &["-q", "-F", &file]).and_then(|()| run("mount", &["-o", "loop", &file, &path]));
        if let Err(error) = on_loop {
            skip::record(&format!("a frozen state disk: no loop device: {error:#}"));
            run("mount", &["-t", "tmpfs", "-o", &format!("size={SIZE}"), "tmpfs", &path])?;
            return Ok(Self {
                mount: mount.to_owned(),
                image: None,
            });
        }
        Ok(Self {
            mount: mount.to_owned(),
            image: Some(image),
        })
    }

    pub(crate) fn can_freeze(&self) -> bool {
        self.image.is_some()
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) -> Result<()> {
        let mut file = File::create(self.filling())?;
        // Fails when the disk is full, which is the purpose.
        let _ = std::io::copy(&mut std::io::Read::take(std::io::repeat(b'x'), SIZE), &mut file);
        Ok(())
    }

    pub(crate) fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.filling())?)
    }

    pub(crate) fn freeze(&self) -> Result<()> {
        run("fsfreeze", &["-f", &self.mount.to_string_lossy()])
    }

    pub(crate) fn thaw(&self) -> Result<()> {
        run("fsfreeze", &["-u", &self.mount.to_string_lossy()])
    }

    fn filling(&self) -> PathBuf {
        self.mount.join("filling")
    }
}

impl Drop for StateDisk {
    fn drop(&mut self) {
        let _ = self.thaw();
        // Lazily: the agent, which is dropped later, may still write there.
        let _ = run("umount", &["-l", &self.mount.to_string_lossy()]);
    }
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    let output = wait::run(20, Command::new(program).args(args))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {args:?}: {}", error.trim());
    Ok(())
}
