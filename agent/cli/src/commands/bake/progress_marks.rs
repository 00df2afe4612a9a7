//! Marks that a bake leaves for the next one, in files of its state directory: that it began, that it read the node's log to
//! its end, and whether that log reports a damaged database.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;

use super::derive_config::state_dir;
use agent_config::Config;
use agent_core::exit_diagnosis;
use agent_docker::{self, Docker};
use agent_files::{Dir, make_dir, replace_file};

/// Mark: a bake began on this data, so that a node key there is the node's own.
const BEGUN: &str = "begun";
/// Mark: a bake found the database damaged, with the line of the log.
const DAMAGED: &str = "damaged";
/// Mark: a bake has read the node's log to its end.
const ENDED: &str = "ended";
/// Read of a line of the node's log at most, bytes.
const MAX_LINE: usize = 64 << 10;

/// The marks of one data directory.
#[derive(Debug, Clone)]
pub(super) struct ProgressMarks {
    dir: PathBuf,
    data: PathBuf,
}

impl ProgressMarks {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            dir: state_dir(config),
            data: config.data.path.clone(),
        }
    }

    /// Reads the node's log and marks the result. Returns the line that reports a damaged database.
    pub(super) async fn read_log(&self, docker: &Docker) -> anyhow::Result<Option<String>> {
        let line = find_damage(docker).await.context("cannot read the node's log")?;
        if let Some(line) = &line {
            self.write(DAMAGED, line)?;
        }
        self.write(ENDED, "")?;
        Ok(line)
    }

    /// Whether an earlier bake was killed before it had read the log of its node.
    pub(super) fn is_unfinished(&self) -> bool {
        self.dir.join(BEGUN).exists() && !self.dir.join(ENDED).exists()
    }

    /// Whether an earlier bake began on this data. Fails when it found the data damaged, and it is still there.
    pub(super) fn is_resumed(&self) -> anyhow::Result<bool> {
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

    /// Marks that a bake begins, and removes everything else: the core's state of an earlier bake, such as its stop, does
    /// not apply to this one. The mark is never missing, so that a bake that is killed here is resumed.
    pub(super) fn begin(&self) -> anyhow::Result<()> {
        make_dir(&self.dir)?;
        self.write(BEGUN, &self.data.display().to_string())?;
        remove_but_begun(&self.dir).with_context(|| format!("cannot empty {}", self.dir.display()))
    }

    pub(super) fn remove(&self) -> anyhow::Result<()> {
        let above = self
            .dir
            .parent()
            .context("the bake's state has no directory around it")?;
        let removed = Dir::open(above).and_then(|dir| dir.remove_all(self.dir.file_name().unwrap_or_default()));
        removed.with_context(|| format!("cannot remove {}", self.dir.display()))
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let file = self.dir.join(name);
        replace_file(&file, text.as_bytes()).with_context(|| format!("cannot write {}", file.display()))
    }
}

fn holds_chains(data: &Path) -> bool {
    fs::read_dir(data).is_ok_and(|mut found| found.next().is_some())
}

fn remove_but_begun(dir: &Path) -> io::Result<()> {
    let dir = Dir::open(dir)?;
    for name in dir.names()?.iter().filter(|name| *name != BEGUN) {
        dir.remove_all(name)?;
    }
    dir.sync()
}

/// The first line of the container's log that reports a damaged database.
async fn find_damage(docker: &Docker) -> Result<Option<String>, agent_docker::Error> {
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
            } else if line.len() < MAX_LINE {
                line.push(byte);
            }
        }
    }
    // The last line may be incomplete.
    let text = String::from_utf8_lossy(&line);
    Ok(exit_diagnosis::tells_of_damage(&text).then(|| text.into_owned()))
}
