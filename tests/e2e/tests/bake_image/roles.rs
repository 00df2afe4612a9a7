//! The roles of the workflow `bake`: an account that lets each do what its policies allow, and nothing else.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};
use t0rn_agent_tests::repository::{cache, root, tool};
use t0rn_agent_tests::{skip, wait};

/// The stack whose roles they are, and so the name of its image.
pub(crate) const STACK: &str = "t0rn-ec1-dev";
/// The profile of its builder: the role `bake` hands an instance no other.
pub(crate) const BUILDER: &str = "t0rn-ec1-dev-image-builder";

/// What the emulated account asks, gone with the value.
#[derive(Debug)]
pub(crate) struct Authorizer {
    child: Child,
    socket: PathBuf,
}

impl Authorizer {
    /// Listens in `folder`. Where it cannot run, this is reported, and there is none.
    ///
    /// # Errors
    /// It does not come up within three minutes.
    pub(crate) fn start(folder: &Path) -> Result<Option<Self>> {
        let is_there = |name: &str| -> bool {
            let mut found = cache().read_dir().into_iter().flatten().flatten();
            found.any(|entry| {
                entry.file_name().to_string_lossy().starts_with(name) && entry.path().join("ready").exists()
            })
        };
        if tool("terraform").is_none() || !is_there("iam-") || !is_there("provider-") {
            skip::record(
                "the rights of the roles: terraform, or what tests/tools/setup provider iam installs, is missing",
            );
            return Ok(None);
        }
        let socket = folder.join("authorizer");
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM"])
            .arg(root().join("tests/infrastructure/iam/baking"))
            .arg(&socket)
            .env_remove("T0RN_AWS_PROVIDER")
            .stdin(Stdio::null())
            .process_group(0);
        let authorizer = Self {
            child: command.spawn()?,
            socket,
        };
        wait::until("the authorizer", Duration::from_mins(3), || {
            ensure!(authorizer.socket.exists(), "it does not listen");
            Ok(())
        })?;
        Ok(Some(authorizer))
    }

    /// What the emulator has to know of it: where it listens, and where refusals are written.
    pub(crate) fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("T0RN_AUTHORIZER", self.socket.clone()),
            ("T0RN_REFUSED", self.socket.with_extension("refused")),
        ]
    }
}

impl Drop for Authorizer {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
        let _ = self.child.wait();
    }
}
