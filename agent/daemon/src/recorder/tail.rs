//! The last part of a recording, for incidents.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::files::{FlightFile, list};
use agent_core::event::Time;
use agent_core::trace::parse_line;

/// The most that is returned, bytes: half an hour of two chains at 5 s takes about 300 KiB.
const TAIL_MAX: usize = 4 << 20;
/// The most that is read of one file, unpacked.
const FILE_MAX: u64 = 8 << 20;
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
    'files: for file in list(dir)?.iter().rev() {
        let text = read(file);
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

/// As much of a file as can be read; a file may be packed or go at any time.
fn read(file: &FlightFile) -> Vec<u8> {
    let mut text = Vec::new();
    let unpack = |file, text: &mut Vec<u8>| MultiGzDecoder::new(file).take(FILE_MAX).read_to_end(text);
    let read = match (File::open(&file.path), file.packed) {
        (Ok(file), false) => file.take(FILE_MAX).read_to_end(&mut text),
        (Ok(file), true) => unpack(file, &mut text),
        // Packed since it was listed.
        (Err(_), false) => File::open(file.path.with_extension("jsonl.gz")).and_then(|file| unpack(file, &mut text)),
        (Err(e), true) => Err(e),
    };
    if read.is_err() || text.last() != Some(&b'\n') {
        let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1);
        text.truncate(whole);
    }
    text
}
