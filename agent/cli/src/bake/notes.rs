//! What a bake notes in its own directory for the next one: that it began, that it read the node's log to its end, and
//! what that log told of the database.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;

use super::plan;
use agent_chaindata::files;
use agent_config::Config;
use agent_core::exit_diagnosis;
use agent_docker::{self, Docker};

/// Says that a bake began on this data: a node key there is the node's own.
const BEGUN: &str = "begun";
/// Says that the database was found damaged by a bake, and how.
const DAMAGED: &str = "damaged";
/// Says that a bake has read the node's log to its end.
const ENDED: &str = "ended";
/// A line of the node's log is looked at up to here, bytes.
const LINE: usize = 64 << 10;

#[derive(Debug, Clone)]
pub(super) struct Notes {
    dir: PathBuf,
    data: PathBuf,
}

impl Notes {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            dir: plan::state_dir(config),
            data: config.data.path.clone(),
        }
    }

    /// Reads the node's log, and notes that and what it tells. Returns the line that tells of a damaged database.
    pub(super) async fn read_log(&self, docker: &Docker) -> anyhow::Result<Option<String>> {
        let line = damage(docker).await.context("cannot read the node's log")?;
        if let Some(line) = &line {
            self.write(DAMAGED, line)?;
        }
        self.write(ENDED, "")?;
        Ok(line)
    }

    /// Whether a bake began and was ended before it had read the log of its node.
    pub(super) fn is_unfinished(&self) -> bool {
        self.dir.join(BEGUN).exists() && !self.dir.join(ENDED).exists()
    }

    /// Whether a bake began on this very data. Fails when it found that damaged, and it is still there.
    pub(super) fn resumed(&self) -> anyhow::Result<bool> {
        let place = self.data.display().to_string();
        let resumed = fs::read_to_string(self.dir.join(BEGUN)).is_ok_and(|begun| begun == place);
        let damaged = self.dir.join(DAMAGED);
        match fs::read_to_string(&damaged) {
            Ok(line) if resumed && holds_chains(&self.data) => bail!(
                "an earlier bake found the database in {place} damaged ({line}): remove what is in it, or restore good \
                 data and remove {}; then bake again",
                damaged.display()
            ),
            _ => Ok(resumed),
        }
    }

    /// Notes that a bake begins, and forgets all else: what the core knew of an earlier one, its stop above all, is not for
    /// this one. The word that a bake began is there all the time: killed here, the next one goes on.
    pub(super) fn begin(&self) -> anyhow::Result<()> {
        files::make_dir(&self.dir)?;
        self.write(BEGUN, &self.data.display().to_string())?;
        forget(&self.dir).with_context(|| format!("cannot empty {}", self.dir.display()))
    }

    /// Removes all of it.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.dir).with_context(|| format!("cannot remove {}", self.dir.display()))
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let file = self.dir.join(name);
        files::replace_file(&file, text.as_bytes()).with_context(|| format!("cannot write {}", file.display()))
    }
}

fn holds_chains(data: &Path) -> bool {
    fs::read_dir(data).is_ok_and(|mut found| found.next().is_some())
}

fn forget(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name() == BEGUN {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    files::sync_dir(dir)
}

/// The first line of the container's log that tells of a damaged database, if there is one.
async fn damage(docker: &Docker) -> Result<Option<String>, agent_docker::Error> {
    let mut log = pin!(docker.logs(u32::MAX, false));
    let mut line = Vec::new();
    while let Some(frame) = log.next().await {
        for byte in frame? {
            if byte == b'\n' {
                let text = String::from_utf8_lossy(&line);
                if exit_diagnosis::tells_of_damage(&text) {
                    return Ok(Some(text.into_owned()));
                }
                line.clear();
            } else if line.len() < LINE {
                line.push(byte);
            }
        }
    }
    // The last words may lack their end.
    let text = String::from_utf8_lossy(&line);
    Ok(exit_diagnosis::tells_of_damage(&text).then(|| text.into_owned()))
}
