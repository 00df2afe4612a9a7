//! An incident as text for a bug report, and for the status page.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Serialize;

use super::super::redact;
use super::{FILE_MAX, FILES, Incident, IncidentError, load};
use agent_core::status::clean;

/// The most bytes of a report: what a command over SSM may return is cut at 24,000 characters.
const REPORT_MAX: usize = 20_000;

/// Log lines at the end of a report, as many as fit.
const LOG_SHOWN: usize = 60;

/// One incident as text that can be pasted as it stands; it ends with the newest log lines, and names the
/// folder with everything else. At most 20,000 bytes.
pub fn show(dir: &Path, id: &str) -> Result<String, IncidentError> {
    let incident = load(dir, id)?;
    let folder = dir.join(id);
    let helped = match incident.helped {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known yet",
    };
    let mut text = format!(
        "incident {id}\nat       {}\ncause    {}\naction   {}\nhelped   {helped}\nagent    {}\n",
        incident.at, incident.cause, incident.action, incident.version
    );
    let section = |text: &mut String, title: &str| {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{title}\n");
    };
    if !incident.evidence.is_empty() {
        section(&mut text, "evidence");
        for fact in &incident.evidence {
            let _ = writeln!(text, "  {fact}");
        }
    }
    let host = end_of(&folder.join("host.json"), 2000);
    if !host.is_empty() {
        section(&mut text, "host");
        text.push_str(&host);
    }
    text.truncate(text.floor_char_boundary(REPORT_MAX / 2));
    let _ = write!(text, "\nall of it: {}\n", folder.display());

    let room = REPORT_MAX.saturating_sub(text.len() + 100);
    let log = end_of(&folder.join("container.log"), room as u64);
    let lines: Vec<&str> = log.lines().collect();
    if !lines.is_empty() {
        section(&mut text, "last log lines of the container");
        for line in &lines[lines.len().saturating_sub(LOG_SHOWN)..] {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.truncate(text.floor_char_boundary(REPORT_MAX));
    Ok(text)
}

/// One incident for the status page: at most 20,000 bytes of texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IncidentExcerpt {
    #[serde(flatten)]
    pub incident: Incident,
    /// The container's last log lines, oldest first, without control characters.
    pub log: Vec<String>,
}

/// What the status page shows of an incident. It was redacted when it was written, and is again, in case that was by an earlier
/// version.
pub fn excerpt(dir: &Path, id: &str) -> Result<IncidentExcerpt, IncidentError> {
    let mut incident = load(dir, id)?;
    redact::lines(&mut incident.evidence, &[]);
    let mut room = REPORT_MAX / 2;
    incident.evidence.retain_mut(|fact| {
        *fact = clean(fact);
        fact.truncate(fact.floor_char_boundary(room));
        room -= fact.len();
        !fact.is_empty()
    });
    let text = end_of(&dir.join(id).join("container.log"), REPORT_MAX as u64 / 2);
    let mut log: Vec<String> = text.lines().map(str::to_owned).collect();
    redact::lines(&mut log, &[]);
    for line in &mut log {
        *line = clean(line);
    }
    log.drain(..log.len().saturating_sub(LOG_SHOWN));
    Ok(IncidentExcerpt { incident, log })
}

/// Names and texts of an incident's files.
pub type IncidentFiles = Vec<(&'static str, String)>;

/// An incident, and those of its other files that are there.
pub fn read(dir: &Path, id: &str) -> Result<(Incident, IncidentFiles), IncidentError> {
    let incident = load(dir, id)?;
    let texts = FILES[1..]
        .iter()
        .map(|&name| (name, end_of(&dir.join(id).join(name), FILE_MAX as u64)))
        .filter(|(_, text)| !text.is_empty());
    Ok((incident, texts.collect()))
}

/// The last bytes of a file from a line's beginning on; nothing when there is none.
fn end_of(path: &Path, bytes: u64) -> String {
    let mut text = Vec::new();
    let Ok(mut file) = File::open(path) else {
        return String::new();
    };
    let size = file.metadata().map_or(0, |m| m.len());
    let start = size.saturating_sub(bytes);
    if file.seek(SeekFrom::Start(start)).is_err() || file.take(bytes).read_to_end(&mut text).is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&text);
    match text.split_once('\n') {
        Some((_, lines)) if start > 0 => lines.to_owned(),
        _ => text.into_owned(),
    }
}
