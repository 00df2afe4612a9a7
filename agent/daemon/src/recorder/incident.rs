//! Incidents: the evidence before an action, one folder each, redacted for sharing.
#![expect(clippy::disallowed_methods, reason = "jobs for the state disk")]

mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
pub use report::{IncidentExcerpt, IncidentFiles, excerpt, read, show};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::redact;
use agent_files::{make_dir, replace_file, sync_dir, write_file};

/// Summary of an incident; `incident.json` in its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Sorts by time: `20261122T225000Z-stalled`.
    pub id: String,
    /// Wall clock, RFC 3339.
    pub at: String,
    pub cause: String,
    pub action: String,
    /// The evidence for the action, one fact each.
    pub evidence: Vec<String>,
    /// Whether the action helped; `None` while not judged.
    pub helped: Option<bool>,
    /// Version of the agent.
    pub version: String,
}

/// Everything that is written for one incident. Absent parts leave no file.
#[derive(Debug, Clone, Default)]
pub struct IncidentBundle {
    /// From [`IncidentIds`].
    pub id: String,
    /// Wall clock, Unix milliseconds.
    pub unix_ms: i64,
    pub cause: String,
    pub action: String,
    pub evidence: Vec<String>,
    /// The last lines of the flight recorder; see [`super::tail()`].
    pub flight: Vec<u8>,
    /// The container's last log lines, oldest first.
    pub log: Vec<String>,
    /// Docker's inspection of the container, as JSON.
    pub inspect: Option<String>,
    /// The exporters' pages as they were scraped last.
    pub parachain: Option<Vec<u8>>,
    pub relaychain: Option<Vec<u8>>,
    pub host: Option<Value>,
    /// The status document before the action.
    pub status: Option<Value>,
    /// Known secrets (the webhook, the registry's password), redacted besides what looks secret.
    pub secrets: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    #[error("no incident {0:?}; `t0rn-agent incidents list` shows what there is")]
    NotFound(String),
    #[error("failed to {0} incident {1:?}: {2}")]
    Io(&'static str, String, io::Error),
}

/// The most incidents kept.
pub const COUNT_MAX: usize = 50;
/// The most bytes kept of all incidents together.
pub const TOTAL_MAX: u64 = 64 << 20;
/// The most bytes of one file of an incident.
const FILE_MAX: usize = 2 << 20;
/// The files of an incident, of which each but the first may be missing.
const FILES: [&str; 8] = [
    "incident.json",
    "container.log",
    "flight.jsonl",
    "inspect.json",
    "parachain.prom",
    "relaychain.prom",
    "host.json",
    "status.json",
];
/// The longest cause within an id, characters.
const CAUSE_MAX: usize = 40;
const LOG_LINES: usize = 500;
/// One log line, bytes.
const LOG_LINE_MAX: usize = 4096;
/// Unfinished folders; no id begins like this.
const HALF: &str = ".half-";

/// Ids of incidents, each given out once: `20261122T225000Z-stalled`, and with `-2` for the next one of that second.
#[derive(Debug, Default)]
pub struct IncidentIds {
    last: String,
    given: u32,
}

impl IncidentIds {
    pub fn next(&mut self, unix_ms: i64, cause: &str) -> String {
        let at = Timestamp::from_millisecond(unix_ms).unwrap_or_default();
        let fit = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let cause: String = cause.chars().filter(fit).take(CAUSE_MAX).collect();
        let id = format!("{}-{cause}", at.strftime("%Y%m%dT%H%M%SZ"));
        self.given = if self.last == id { self.given + 1 } else { 1 };
        self.last.clone_from(&id);
        match self.given {
            1 => id,
            n => format!("{id}-{n}"),
        }
    }
}

/// Writes a bundle into a folder of its own under `dir` (made when absent), at once or not at all, and
/// removes old ones where [`COUNT_MAX`] or [`TOTAL_MAX`] would be passed.
///
/// This blocks on the disk. An action must not depend on it: where it fails, the action goes on.
pub fn write(dir: &Path, bundle: &IncidentBundle) -> Result<(), IncidentError> {
    write_bounded(dir, bundle, COUNT_MAX, TOTAL_MAX)
}

/// Records whether the action helped.
pub fn set_helped(dir: &Path, id: &str, helped: bool) -> Result<(), IncidentError> {
    let mut incident = load(dir, id)?;
    incident.helped = Some(helped);
    replace_file(&dir.join(id).join("incident.json"), &pretty(&incident))
        .map_err(|e| IncidentError::Io("update", id.to_owned(), e))
}

/// All incidents, newest first, with why one cannot be read; none where `dir` is missing. A directory that cannot be read
/// is an error: it must not look like an empty one.
pub fn list(dir: &Path) -> io::Result<Vec<Result<Incident, IncidentError>>> {
    let ids = match ids(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        ids => ids?,
    };
    let loaded = ids.into_iter().rev().map(|id| match load(dir, &id) {
        // The folder is there.
        Err(IncidentError::NotFound(id)) => Err(IncidentError::Io("read", id, io::ErrorKind::NotFound.into())),
        loaded => loaded,
    });
    Ok(loaded.collect())
}

fn load(dir: &Path, id: &str) -> Result<Incident, IncidentError> {
    // The id comes from the command line and must not be a path.
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Err(IncidentError::NotFound(id.to_owned()));
    }
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => IncidentError::NotFound(id.to_owned()),
        _ => IncidentError::Io("read", id.to_owned(), e),
    };
    let text = fs::read(dir.join(id).join("incident.json")).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|e| failed(e.into()))
}

fn write_bounded(dir: &Path, bundle: &IncidentBundle, count: usize, total: u64) -> Result<(), IncidentError> {
    let at = Timestamp::from_millisecond(bundle.unix_ms).unwrap_or_default();
    let id = &bundle.id;
    (|| {
        make_dir(dir)?;
        if dir.join(id).exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut evidence = bundle.evidence.clone();
        redact::lines(&mut evidence, &bundle.secrets);
        let incident = Incident {
            id: id.clone(),
            at: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            cause: bundle.cause.clone(),
            action: bundle.action.clone(),
            evidence,
            helped: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        remove_unfinished(dir)?;
        let half = dir.join(format!("{HALF}{id}"));
        make_dir(&half)?;
        let mut size = 0;
        // One file at a time: a bundle is as large as the agent itself.
        each_file(&incident, bundle, |name, text| {
            size += text.len() as u64;
            write_file(&half.join(name), text)
        })?;
        make_room(dir, count.saturating_sub(1), total.saturating_sub(size))?;
        sync_dir(&half)?;
        fs::rename(&half, dir.join(id))?;
        sync_dir(dir)
    })()
    .map_err(|e| IncidentError::Io("write", id.clone(), e))
}

/// Passes on the name and the contents of each of an incident's files that has any, redacted and no longer than it may be.
fn each_file(
    incident: &Incident,
    bundle: &IncidentBundle,
    mut write: impl FnMut(&str, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let known = &bundle.secrets;
    let clean = |bytes: &[u8]| redact::text(&String::from_utf8_lossy(bytes), known).into_bytes();
    let document = |mut value: Value| {
        redact::json(&mut value, known);
        format!("{value:#}\n").into_bytes()
    };
    let log = || {
        let mut log = String::new();
        for line in &bundle.log[bundle.log.len().saturating_sub(LOG_LINES)..] {
            log.push_str(&line[..line.floor_char_boundary(LOG_LINE_MAX)]);
            log.push('\n');
        }
        clean(log.as_bytes())
    };
    let flight = || redact::json_lines(&String::from_utf8_lossy(newest(&bundle.flight)), known).into_bytes();
    let page = |page: &Option<Vec<u8>>| page.as_ref().map_or_else(Vec::new, |page| clean(oldest(page)));
    let inspect = || match bundle.inspect.as_ref().map(|text| (text, serde_json::from_str(text))) {
        Some((_, Ok(value))) => document(value),
        Some((text, Err(_))) => clean(oldest(text.as_bytes())),
        None => Vec::new(),
    };
    let value = |value: &Option<Value>| value.clone().map_or_else(Vec::new, document);
    let contents: [&dyn Fn() -> Vec<u8>; FILES.len()] = [
        &|| pretty(incident),
        &log,
        &flight,
        &inspect,
        &|| page(&bundle.parachain),
        &|| page(&bundle.relaychain),
        &|| value(&bundle.host),
        &|| value(&bundle.status),
    ];
    for (name, make) in FILES.into_iter().zip(contents) {
        let mut text = make();
        // The replacement of a secret may be longer than it.
        text.truncate(oldest(&text).len());
        if !text.is_empty() {
            write(name, &text)?;
        }
    }
    Ok(())
}

/// The end of a text that is too long, from a line's beginning on.
fn newest(text: &[u8]) -> &[u8] {
    let tail = &text[text.len().saturating_sub(FILE_MAX)..];
    if tail.len() == text.len() {
        return text;
    }
    let begin = tail
        .iter()
        .position(|b| *b == b'\n')
        .map_or(tail.len(), |newline| newline + 1);
    &tail[begin..]
}

/// The beginning of a text that is too long, up to a line's end, since half a secret would not be recognized.
fn oldest(text: &[u8]) -> &[u8] {
    let head = &text[..text.len().min(FILE_MAX)];
    if head.len() == text.len() {
        return text;
    }
    &head[..head.iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1)]
}

fn remove_unfinished(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(HALF)) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Removes incidents until at most `count` of `bytes` remain: the oldest of the cause with the most, so that a crash loop
/// does not displace a single event.
fn make_room(dir: &Path, count: usize, bytes: u64) -> io::Result<()> {
    let mut causes: BTreeMap<String, VecDeque<(String, u64)>> = BTreeMap::new();
    for id in ids(dir)? {
        let mut size = 0;
        for entry in fs::read_dir(dir.join(&id))? {
            size += entry?.metadata()?.len();
        }
        let cause = id.split('-').nth(1).unwrap_or_default().to_owned();
        causes.entry(cause).or_default().push_back((id, size));
    }
    let kept = |causes: &BTreeMap<_, VecDeque<(_, u64)>>| {
        let all = causes.values().flatten().map(|(_, size)| size);
        (all.clone().count(), all.sum::<u64>())
    };
    while let (number, size) = kept(&causes)
        && (number > count || size > bytes)
        && let Some(most) = causes.values_mut().max_by_key(|ids| ids.len())
        && let Some((oldest, _)) = most.pop_front()
    {
        fs::remove_dir_all(dir.join(oldest))?;
    }
    Ok(())
}

/// Oldest first.
fn ids(dir: &Path) -> io::Result<Vec<String>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && name.starts_with(|c: char| c.is_ascii_digit())
            && entry.file_type()?.is_dir()
        {
            ids.push(name);
        }
    }
    ids.sort();
    Ok(ids)
}

fn pretty(incident: &Incident) -> Vec<u8> {
    // A struct of texts always serializes.
    serde_json::to_vec_pretty(incident).unwrap_or_default()
}
