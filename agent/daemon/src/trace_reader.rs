//! Reader of the lines of a trace, plain or gzipped, with at most one line in memory.
#![expect(
    clippy::disallowed_methods,
    reason = "jobs for the state disk, and commands without a loop"
)]

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use flate2::bufread::GzDecoder;

/// The longest line taken, bytes; the recorder's own are far shorter.
pub const LINE_MAX: usize = 1024 * 1024;

/// Most of a longer line that is skipped, bytes: a line without an end, as `/dev/zero` has, ends the reading.
const SKIP_MAX: u64 = 64 * 1024 * 1024;

const BUFFER: usize = 64 * 1024;

#[derive(Debug)]
pub enum NextLine<'a> {
    Line(&'a [u8]),
    /// A line, or the rest of a file, that cannot be read, and why.
    Unreadable(String),
    End,
}

/// Reader of plain and gzipped lines of one file, of standard input, or of a folder's files in the order of their names,
/// as the flight recorder writes them.
#[expect(missing_debug_implementations, reason = "the reader has none")]
pub struct TraceReader {
    waiting: VecDeque<PathBuf>,
    reader: Option<BufReader<Decompressed>>,
    line: Vec<u8>,
    name: String,
    number: u64,
}

impl TraceReader {
    /// Opens a file, a folder of `.jsonl` and `.jsonl.gz` files, or standard input (`-`).
    pub fn open(trace: &Path) -> anyhow::Result<Self> {
        let name = trace.display().to_string();
        if trace.as_os_str() == "-" {
            return Ok(Self::from_reader(
                "standard input".to_owned(),
                Box::new(io::stdin().lock()),
            ));
        }
        if !trace.is_dir() {
            let file = File::open(trace).with_context(|| format!("failed to open the trace {name}"))?;
            return Ok(Self::from_reader(
                name,
                Box::new(BufReader::with_capacity(BUFFER, file)),
            ));
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(trace).with_context(|| format!("failed to list {name}"))? {
            let path = entry.with_context(|| format!("failed to list {name}"))?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            if file.ends_with(".jsonl") || file.ends_with(".jsonl.gz") {
                files.push(path);
            }
        }
        ensure!(
            !files.is_empty(),
            "{name} holds no trace: expected files named *.jsonl or *.jsonl.gz"
        );
        files.sort();
        // One that was being packed when the power was cut is there twice, and whole in both forms.
        let packed: HashSet<_> = files.iter().map(|path| path.with_extension("")).collect();
        files.retain(|path| !packed.contains(path));
        Ok(Self::of(files))
    }

    /// All lines of these files, one file after the other.
    pub fn of(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            waiting: files.into_iter().collect(),
            reader: None,
            line: Vec::new(),
            name: String::new(),
            number: 0,
        }
    }

    pub fn from_reader(name: String, reader: Box<dyn BufRead>) -> Self {
        Self {
            waiting: VecDeque::new(),
            reader: Some(unpack(reader)),
            line: Vec::new(),
            name,
            number: 0,
        }
    }

    /// Position of the last line, for messages.
    pub fn position(&self) -> String {
        format!("{} line {}", self.name, self.number)
    }

    pub fn next_line(&mut self) -> NextLine<'_> {
        loop {
            let Some(reader) = &mut self.reader else {
                let Some(path) = self.waiting.pop_front() else {
                    return NextLine::End;
                };
                self.name = path.display().to_string();
                self.number = 0;
                // The recorder may have packed it since it was listed.
                match File::open(&path).or_else(|e| File::open(path.with_extension("jsonl.gz")).map_err(|_| e)) {
                    Ok(file) => {
                        self.reader = Some(unpack(Box::new(BufReader::with_capacity(BUFFER, file))));
                    }
                    Err(e) => return NextLine::Unreadable(format!("failed to open: {e}")),
                }
                continue;
            };
            self.line.clear();
            self.number += 1;
            match reader.take(LINE_MAX as u64 + 1).read_until(b'\n', &mut self.line) {
                Ok(0) => self.reader = None,
                Ok(length) if length > LINE_MAX => {
                    let is_cut = self.line.last() != Some(&b'\n');
                    let skipped = if is_cut {
                        reader.take(SKIP_MAX).skip_until(b'\n')
                    } else {
                        Ok(0)
                    };
                    let place = match skipped {
                        Ok(skipped) if (skipped as u64) < SKIP_MAX => "",
                        _ => {
                            self.reader = None;
                            "; nothing behind this place is read"
                        }
                    };
                    return NextLine::Unreadable(format!("longer than {LINE_MAX} bytes{place}"));
                }
                Ok(_) => {
                    let bom: &[u8] = if self.number == 1 { b"\xef\xbb\xbf" } else { b"" };
                    return NextLine::Line(self.line.strip_prefix(bom).unwrap_or(&self.line).trim_ascii());
                }
                Err(e) => {
                    self.reader = None;
                    return NextLine::Unreadable(format!("{e}; nothing behind this place can be read"));
                }
            }
        }
    }
}

/// Decompressed bytes: plain, gzip, several gzip members in a row, plain after gzip.
enum Decompressed {
    Start(Box<dyn BufRead>),
    Gzip(GzDecoder<Box<dyn BufRead>>),
    Plain(Box<dyn BufRead>),
    /// After damage, and during a state change.
    Done,
}

fn unpack(reader: Box<dyn BufRead>) -> BufReader<Decompressed> {
    BufReader::with_capacity(BUFFER, Decompressed::Start(reader))
}

impl Read for Decompressed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(self, Self::Done) {
                Self::Start(mut reader) => {
                    let head = reader.fill_buf()?;
                    // One byte is enough: no line of text begins with these, and a pipe may deliver one at a time.
                    *self = match head.first() {
                        Some(0x1f) => Self::Gzip(GzDecoder::new(reader)),
                        Some(0xfd) if head.starts_with(b"\xfd7zXZ") => return Err(packed("xz")),
                        Some(0x28) if head.starts_with(b"\x28\xb5\x2f\xfd") => {
                            return Err(packed("zstd"));
                        }
                        Some(_) => Self::Plain(reader),
                        None => return Ok(0),
                    };
                }
                Self::Gzip(mut member) => match member.read(buf)? {
                    0 if !buf.is_empty() => *self = Self::Start(member.into_inner()),
                    read => {
                        *self = Self::Gzip(member);
                        return Ok(read);
                    }
                },
                Self::Plain(mut reader) => {
                    let read = reader.read(buf)?;
                    *self = Self::Plain(reader);
                    return Ok(read);
                }
                Self::Done => return Ok(0),
            }
        }
    }
}

fn packed(with: &str) -> io::Error {
    io::Error::other(format!(
        "packed with {with}: unpack it first (`{with} -dc FILE | t0rn-agent replay -`)"
    ))
}

#[cfg(test)]
mod tests;
