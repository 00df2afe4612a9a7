//! `snapshot create`, `verify` and `restore`, by the command.

mod at_rest;
mod collator;
mod files;
mod remote;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::agent::binary;
use t0rn_agent_tests::wait::run;
use tempfile::TempDir;

/// A host without an engine and without an agent: a configuration, and data.
struct Host {
    dir: TempDir,
    objects: Option<String>,
}

impl Host {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("data"))?;
        let place = dir.path().display();
        let config = format!(
            "[agent]\nstate_dir = \"{place}/state\"\nsocket = \"{place}/agent.sock\"\ndocker = \"{place}/docker.sock\"\n\
             [collator]\nimage = \"example.org/collator:1\"\n[data]\npath = \"{place}/data\"\n"
        );
        fs::write(dir.path().join("agent.toml"), config)?;
        Ok(Self { dir, objects: None })
    }

    /// With so many files of half a MiB that do not compress.
    fn with_chain(files: u32) -> Result<Self> {
        let host = Self::new()?;
        put(&host.data(), "chains/t0rn/db/full/CURRENT", b"MANIFEST-1\n")?;
        put(&host.data(), "chains/t0rn/keystore/61757261", b"SECRET")?;
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for number in 0..files {
            let noise = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            });
            let content: Vec<u8> = noise.take(64 << 10).flatten().collect();
            put(&host.data(), &format!("chains/t0rn/db/full/{number:06}.sst"), &content)?;
        }
        Ok(host)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command
            .arg("--config")
            .arg(self.dir.path().join("agent.toml"))
            .args(args);
        command
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret");
        command.env("AWS_REGION", "eu-west-1");
        command.envs(self.objects.iter().map(|url| ("AWS_ENDPOINT_URL_S3", url)));
        Ok(command)
    }

    fn snapshot(&self, args: &[&str]) -> Result<Output> {
        run(60, &mut self.command(&[&["snapshot"], args].concat())?)
    }

    /// What has to succeed. Returns what it prints.
    fn done(&self, args: &[&str]) -> Result<String> {
        let output = self.snapshot(args)?;
        ensure!(output.status.success(), "{args:?}: {}", said(&output));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What has to fail. Returns what it says.
    fn failed(&self, args: &[&str]) -> Result<String> {
        let output = self.snapshot(args)?;
        ensure!(
            output.status.code() == Some(1),
            "{args:?}: {} {}",
            output.status,
            said(&output)
        );
        Ok(said(&output))
    }

    fn database(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.data().join("chains/t0rn/db/full"))? {
            let entry = entry?;
            found.push((
                entry.file_name().to_string_lossy().into_owned(),
                fs::read(entry.path())?,
            ));
        }
        found.sort();
        Ok(found)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn put(root: &Path, place: &str, content: &[u8]) -> Result<()> {
    let path = root.join(place);
    fs::create_dir_all(path.parent().context("no parent")?)?;
    Ok(fs::write(path, content)?)
}
