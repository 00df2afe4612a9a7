//! The last part of a recording, for incidents.

use std::io;
use std::path::{Path, PathBuf};

use super::files::list;
use crate::trace_reader::{NextLine, TraceReader};
use agent_core::event::Time;
use agent_core::trace::parse_line;

/// The most that is returned, bytes: half an hour of two chains at 5 s takes about 300 KiB.
const TAIL_MAX: usize = 4 << 20;
/// The most that is read of one file, unpacked.
const FILE_MAX: usize = 8 << 20;
/// Lines of one moment may be out of order by this much.
const JITTER: u64 = 1000;

/// The lines in `dir` from `since` on, oldest first, as they were recorded. Damaged lines and files are left
/// out. Lines before the last beginning of the agent's clock are not comparable and left out, too.
///
/// Fails when the folder cannot be listed.
pub fn tail(dir: &Path, since: Time) -> io::Result<Vec<u8>> {
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let mut size = 0;
    let mut newest = Time(u64::MAX);
    'files: for file in list(dir)?.into_iter().rev() {
        let text = read(file.path);
        let mut lines: Vec<&[u8]> = Vec::new();
        let mut more = true;
        for line in text.split_inclusive(|b| *b == b'\n').rev() {
            let Ok((time, _)) = parse_line(line) else {
                continue;
            };
            if time < since || time.0 > newest.0.saturating_add(JITTER) || size + line.len() > TAIL_MAX {
                more = false;
                break;
            }
            newest = newest.min(time);
            size += line.len();
            lines.push(line);
        }
        chunks.push(lines.iter().rev().copied().collect::<Vec<_>>().concat());
        if !more {
            break 'files;
        }
    }
    chunks.reverse();
    Ok(chunks.concat())
}

/// The lines of a file, as far as they can be read and within [`FILE_MAX`].
fn read(path: PathBuf) -> Vec<u8> {
    let (mut text, mut lines) = (Vec::new(), TraceReader::of([path]));
    while text.len() < FILE_MAX {
        match lines.next_line() {
            NextLine::Line(line) => text.extend(line.iter().chain(b"\n")),
            NextLine::Unreadable(_) => {}
            NextLine::End => break,
        }
    }
    text
}
