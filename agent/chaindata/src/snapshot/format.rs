//! Binary format of a snapshot: a zstd stream whose data frames are verified one by one.
//!
//! What only this program reads is in skippable frames: the snapshot's info first, a digest before each frame of data, the
//! manifest and perhaps its signature last.

use std::io::{self, Read, Write};

use ring::digest;

/// Bytes of the tar stream in one frame.
pub(super) const CHUNK: usize = 2 << 20;
/// Version of the format; additions do not raise it.
pub(crate) const SCHEMA: u32 = 1;
/// One of the sixteen magic numbers of zstd's skippable frames.
const MAGIC: [u8; 4] = [0x5b, 0x2a, 0x4d, 0x18];
const DATA_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest skippable frame, bytes: a manifest of half a million chunks.
const MAX_PART: u32 = 48 << 20;
/// The largest skippable frame but a manifest, bytes: a reader takes it before anything is verified.
const MAX_UNVERIFIED_PART: u32 = 1 << 20;

pub(crate) type Digest = [u8; 32];

/// Description of a frame of data, in a skippable frame before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkHeader {
    pub(super) index: u32,
    /// Bytes of the frame.
    pub(super) length: u32,
    /// Bytes of the tar stream in it.
    pub(super) raw: u32,
    pub(super) sha256: Digest,
}

/// Part of a snapshot, in the order of the stream.
#[derive(Debug)]
pub(crate) enum Part {
    Head(Vec<u8>),
    /// Offset of the frame of data, its header, and the frame.
    Chunk(u64, ChunkHeader, Vec<u8>),
    Manifest(Vec<u8>),
    Signature(Vec<u8>),
    /// SHA-256 of the manifest and the signature; nothing follows.
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

    /// Writes the part. Returns its length, bytes.
    pub(crate) fn write(&self, to: &mut dyn Write) -> io::Result<u64> {
        let chunk;
        let (payload, frame): (&[u8], &[u8]) = match self {
            Self::Head(bytes) | Self::Manifest(bytes) | Self::Signature(bytes) | Self::End(bytes) => (bytes, &[]),
            Self::Chunk(_, header, frame) => {
                chunk = header.encode();
                (&chunk, frame)
            }
        };
        let length = u32::try_from(payload.len() + 1)
            .ok()
            .filter(|length| *length <= MAX_PART);
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

impl ChunkHeader {
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

/// Reads a snapshot part by part, and checks only that the parts are whole.
#[derive(Debug)]
pub(crate) struct PartReader<R> {
    from: R,
    at: u64,
}

impl<R: Read> PartReader<R> {
    /// `from` stands at the beginning of a part, `at` bytes from the beginning of the snapshot.
    pub(crate) fn new(from: R, at: u64) -> Self {
        Self { from, at }
    }

    /// The next part; `None` at the end. Fails with [`io::ErrorKind::InvalidData`] on anything else.
    pub(crate) fn next(&mut self) -> io::Result<Option<Part>> {
        let mut header = [0; 9];
        match read_up_to(&mut self.from, &mut header)? {
            0 => return Ok(None),
            9 => {}
            _ => return Err(self.damaged("ends in the middle of a part")),
        }
        if header[..4] != MAGIC {
            return Err(self.damaged(if self.at == 0 {
                "does not begin as one"
            } else {
                "has no part of a snapshot"
            }));
        }
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        let largest = if header[8] == b'M' {
            MAX_PART
        } else {
            MAX_UNVERIFIED_PART
        };
        if length == 0 || length > largest {
            return Err(self.damaged("has a part of an impossible length"));
        }
        let payload = self.take(length - 1)?;
        let header_length = 9 + payload.len() as u64;
        let part = match header[8] {
            b'H' => Part::Head(payload),
            b'M' => Part::Manifest(payload),
            b'S' => Part::Signature(payload),
            b'E' => Part::End(payload),
            b'C' => {
                let header = ChunkHeader::decode(&payload).ok_or_else(|| self.damaged("has a damaged digest"))?;
                // Zstd makes incompressible data hardly larger.
                if header.raw as usize > CHUNK || header.length as usize > CHUNK + CHUNK / 64 + 1024 {
                    return Err(self.damaged("has a chunk of an impossible length"));
                }
                let frame = self.take(header.length)?;
                let begins = self.at + header_length;
                self.at = begins + u64::from(header.length);
                return Ok(Some(Part::Chunk(begins, header, frame)));
            }
            _ => return Err(self.damaged("has a part of an unknown kind")),
        };
        self.at += header_length;
        Ok(Some(part))
    }

    /// Offset of the next part in the snapshot, bytes.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    fn take(&mut self, length: u32) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.from).take(u64::from(length)).read_to_end(&mut bytes)?;
        if bytes.len() != length as usize {
            return Err(self.damaged("ends in the middle of a part"));
        }
        Ok(bytes)
    }

    fn damaged(&self, what: &str) -> io::Error {
        let text = format!("byte {}: the snapshot {what}", self.at);
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}

/// Running digest over the chunks' headers, from which a reader can resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DigestChain(pub(super) Digest);

impl DigestChain {
    /// The digest before the first chunk, which covers the info.
    pub(super) fn new(info: &[u8]) -> Self {
        Self(sha256(info))
    }

    pub(super) fn add(&mut self, header: &ChunkHeader) {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.0);
        context.update(&header.encode());
        self.0.copy_from_slice(context.finish().as_ref());
    }
}

/// Fills `buffer` as far as there is something to read. Returns the number of bytes.
pub(crate) fn read_up_to(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
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

/// Whether these bytes begin a zstd stream, a snapshot or not.
pub(crate) fn is_zstd(start: &[u8]) -> bool {
    start.starts_with(&DATA_MAGIC) || is_snapshot(start)
}

pub(crate) fn is_snapshot(start: &[u8]) -> bool {
    start.starts_with(&MAGIC)
}

pub fn sha256(bytes: &[u8]) -> Digest {
    let mut found = Digest::default();
    found.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    found
}

pub fn parse_sha256(text: &str) -> Option<Digest> {
    let mut bytes = Digest::default();
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
