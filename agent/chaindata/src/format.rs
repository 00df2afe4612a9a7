//! The form of a snapshot: a `.tar.zst` that any zstd and tar read, cut into frames that can be proven one by one.
//!
//! What only this program reads lies in skippable frames: the head first, a digest before each frame of data, the
//! manifest and perhaps its signature last. Pure, but for reading and writing what it is given.

use std::io::{self, Read, Write};

use jiff::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};

use crate::compatibility::ChainFactsByDir;
use agent_core::event::named;

/// Bytes of the tar stream in one frame.
pub(super) const CHUNK: usize = 2 << 20;
/// Version of the form; additions do not raise it.
pub(super) const SCHEMA: u32 = 1;
/// Skippable frames of zstd have sixteen magic numbers; this one is ours.
const MAGIC: [u8; 4] = [0x5b, 0x2a, 0x4d, 0x18];
/// Magic of a frame with data.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest frame that is read: 16 million chunks of a manifest would not fit, half a million do.
const LARGEST: u32 = 48 << 20;
/// The largest head, which a reader takes before anything is proven.
const LARGEST_HEAD: u32 = 1 << 20;

pub(super) type Digest = [u8; 32];

named! {
    /// What the data was when it was copied.
    Consistency {
        Clean = "clean",
        CrashConsistent = "crash-consistent",
    }
}

/// What a snapshot says of itself before its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub schema: u32,
    /// Tells it from every other.
    pub id: String,
    pub at: Timestamp,
    /// Version of the agent that made it.
    pub agent: String,
    pub consistency: Consistency,
    /// By directory, relative.
    pub chains: ChainFactsByDir,
    /// Regular files.
    pub files: u64,
    /// Content of the files, bytes.
    pub bytes: u64,
}

/// All that a snapshot has to be: written last, and what a signature is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    #[serde(flatten)]
    pub head: Head,
    /// SHA-256 of the head as it stands in the stream.
    pub head_sha256: String,
    /// Length of the tar stream, bytes.
    pub tar_bytes: u64,
    /// Digest of the chunks' digests, one after the other.
    pub sha256: String,
    /// Offset of each chunk's frame, its compressed length and its SHA-256.
    pub chunks: Vec<(u64, u32, String)>,
}

/// What stands before a frame of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) index: u32,
    /// Bytes of the frame.
    pub(super) length: u32,
    /// Bytes of the tar stream in it.
    pub(super) raw: u32,
    pub(super) sha256: Digest,
}

/// What a snapshot consists of, as it comes.
#[derive(Debug)]
pub(super) enum Part {
    Head(Vec<u8>),
    /// Where the frame of data begins, and the frame.
    Chunk(u64, Label, Vec<u8>),
    Manifest(Vec<u8>),
    Signature(Vec<u8>),
    /// SHA-256 of the manifest and the signature: nothing follows.
    End(Vec<u8>),
}

impl Part {
    fn kind(&self) -> u8 {
        match self {
            Self::Head(_) => b'H',
            Self::Chunk(..) => b'C',
            Self::Manifest(_) => b'M',
            Self::Signature(_) => b'S',
            Self::End(_) => b'E',
        }
    }

    /// Writes it. Returns its length.
    pub(super) fn write(&self, to: &mut dyn Write) -> io::Result<u64> {
        let label;
        let (payload, frame): (&[u8], &[u8]) = match self {
            Self::Head(bytes) | Self::Manifest(bytes) | Self::Signature(bytes) | Self::End(bytes) => (bytes, &[]),
            Self::Chunk(_, about, frame) => {
                label = about.encode();
                (&label, frame)
            }
        };
        let length = u32::try_from(payload.len() + 1)
            .ok()
            .filter(|length| *length <= LARGEST);
        let length = length.ok_or_else(|| io::Error::other("the snapshot has more chunks than a manifest holds"))?;
        let mut header = [0; 9];
        header[..4].copy_from_slice(&MAGIC);
        header[4..8].copy_from_slice(&length.to_le_bytes());
        header[8] = self.kind();
        to.write_all(&header)?;
        to.write_all(payload)?;
        to.write_all(frame)?;
        Ok((header.len() + payload.len() + frame.len()) as u64)
    }
}

impl Label {
    const LENGTH: usize = 44;

    fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        for (to, number) in bytes.chunks_exact_mut(4).zip([self.index, self.length, self.raw]) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        bytes[12..].copy_from_slice(&self.sha256);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LENGTH] = bytes.try_into().ok()?;
        let number = |at: usize| Some(u32::from_le_bytes(bytes[at..at + 4].try_into().ok()?));
        Some(Self {
            index: number(0)?,
            length: number(4)?,
            raw: number(8)?,
            sha256: bytes[12..].try_into().ok()?,
        })
    }
}

/// Reads a snapshot part by part. Proves nothing but that the parts are whole.
#[derive(Debug)]
pub(super) struct Parts<R> {
    from: R,
    at: u64,
}

impl<R: Read> Parts<R> {
    /// `from` stands at the beginning of a part, `at` bytes from the beginning of the snapshot.
    pub(super) fn new(from: R, at: u64) -> Self {
        Self { from, at }
    }

    /// The next part; `None` at the end. Fails with [`io::ErrorKind::InvalidData`] on anything else.
    pub(super) fn next(&mut self) -> io::Result<Option<Part>> {
        let mut header = [0; 9];
        match read_some(&mut self.from, &mut header)? {
            0 => return Ok(None),
            9 => {}
            _ => return Err(self.wrong("ends in the middle of a part")),
        }
        if header[..4] != MAGIC {
            return Err(self.wrong("has no part of a snapshot"));
        }
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        let largest = if header[8] == b'M' { LARGEST } else { LARGEST_HEAD };
        if length == 0 || length > largest {
            return Err(self.wrong("has a part of an impossible length"));
        }
        let payload = self.take(length - 1)?;
        let label_length = 9 + payload.len() as u64;
        let part = match header[8] {
            b'H' => Part::Head(payload),
            b'M' => Part::Manifest(payload),
            b'S' => Part::Signature(payload),
            b'E' => Part::End(payload),
            b'C' => {
                let label = Label::decode(&payload).ok_or_else(|| self.wrong("has a damaged digest"))?;
                // Zstd makes what it cannot compress hardly larger.
                if label.raw as usize > CHUNK || label.length as usize > CHUNK + CHUNK / 64 + 1024 {
                    return Err(self.wrong("has a chunk of an impossible length"));
                }
                let frame = self.take(label.length)?;
                let begins = self.at + label_length;
                self.at = begins + u64::from(label.length);
                return Ok(Some(Part::Chunk(begins, label, frame)));
            }
            _ => return Err(self.wrong("has a part of an unknown kind")),
        };
        self.at += label_length;
        Ok(Some(part))
    }

    /// Bytes from the beginning of the snapshot to the next part.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    fn take(&mut self, length: u32) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.from).take(u64::from(length)).read_to_end(&mut bytes)?;
        if bytes.len() != length as usize {
            return Err(self.wrong("ends in the middle of a part"));
        }
        Ok(bytes)
    }

    fn wrong(&self, what: &str) -> io::Error {
        let words = format!("byte {}: the snapshot {what}", self.at);
        io::Error::new(io::ErrorKind::InvalidData, words)
    }
}

/// The digests of the chunks so far, as one that can be kept and gone on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chain(pub(super) Digest);

impl Chain {
    /// Of no chunks: it covers the head.
    pub(super) fn new(head: &[u8]) -> Self {
        Self(sha256(head))
    }

    pub(super) fn add(&mut self, label: &Label) {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.0);
        context.update(&label.encode());
        self.0.copy_from_slice(context.finish().as_ref());
    }
}

/// Fills `buffer` as far as there is something to read. Returns how far.
pub(super) fn read_some(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Whether these bytes may begin a zstd stream, a snapshot or not.
pub(super) fn is_zstd(start: &[u8]) -> bool {
    start.starts_with(&ZSTD) || is_snapshot(start)
}

pub(super) fn is_snapshot(start: &[u8]) -> bool {
    start.starts_with(&MAGIC)
}

pub fn sha256(bytes: &[u8]) -> Digest {
    let mut found = Digest::default();
    found.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    found
}

pub(super) fn unhex(text: &str) -> Option<Digest> {
    let mut bytes = Digest::default();
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
