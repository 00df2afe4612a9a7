//! Reader of a snapshot's tar stream, in which every byte is verified before it is returned.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;
use std::thread;

use super::error::ReadError;
use super::format::{CHUNK, ChunkHeader, Digest, DigestChain, Part, PartReader, parse_sha256, sha256};
use super::manifest::{Header, Manifest};
use super::pool::{OrderedResults, ordered_pool};
use super::signature::{PublicKey, SignatureError};

/// Position from which a reader can resume: the beginning of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) index: u32,
    /// Offset of its part in the snapshot.
    pub(crate) offset: u64,
    /// Offset of its content in the tar stream.
    pub(crate) raw: u64,
    /// Digest of the chunks before it.
    pub(crate) chain: Digest,
}

impl Checkpoint {
    pub(crate) fn first(header: &Header) -> Self {
        Self {
            index: 0,
            offset: header.length,
            raw: 0,
            chain: header.sha256,
        }
    }
}

/// A part that went through the pool.
enum Verified {
    /// The chunk's content, or how it is damaged.
    Chunk(u64, ChunkHeader, Result<Vec<u8>, String>),
    Part(Part),
    Broken(io::Error),
}

/// Verified tar stream. Reading fails with a [`ReadError`] inside the error.
pub(crate) struct VerifiedReader {
    results: OrderedResults<Verified>,
    header: Header,
    /// Of the chunk that is read.
    cursor: Rc<Cell<Checkpoint>>,
    /// Of the chunk after it.
    next: Checkpoint,
    chunk: Vec<u8>,
    read: usize,
    manifest: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
    ended: bool,
}

impl VerifiedReader {
    /// Reads on from `start`, where `from` stands.
    pub(crate) fn new(from: Box<dyn Read + Send>, header: Header, start: Checkpoint) -> io::Result<Self> {
        let (pool, results) = ordered_pool(verifier)?;
        thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            let mut parts = PartReader::new(from, start.offset);
            while let Some(part) = parts.next().transpose() {
                let last = part.is_err();
                if !pool.put(part) || last {
                    return;
                }
            }
        })?;
        Ok(Self {
            results,
            header,
            cursor: Rc::new(Cell::new(start)),
            next: start,
            chunk: Vec::new(),
            read: 0,
            manifest: None,
            signature: None,
            ended: false,
        })
    }

    /// Cursor at the chunk of the byte that was read last.
    pub(crate) fn cursor(&self) -> Rc<Cell<Checkpoint>> {
        Rc::clone(&self.cursor)
    }

    /// Reads the rest, and verifies everything against the manifest and, with a key, the manifest against its signature.
    pub(crate) fn finish(mut self, key: Option<&PublicKey>) -> Result<Manifest, ReadError> {
        while self.advance()? {}
        let text = self.manifest.take();
        let text = text.ok_or_else(|| {
            ReadError::damaged("the snapshot ends before its manifest: it was not written to its end")
        })?;
        if !self.ended {
            return Err(ReadError::damaged(
                "the snapshot ends before its end: it was not written to its end",
            ));
        }
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| ReadError::damaged(format!("the manifest cannot be read: {error}")))?;
        self.compare(&manifest, &text)?;
        if let Some(key) = key {
            let signature = self.signature.take().ok_or(SignatureError::Missing)?;
            let signature = String::from_utf8(signature).map_err(|_| SignatureError::Damaged)?;
            key.verify(&text, &signature)?;
        }
        Ok(manifest)
    }

    fn compare(&self, manifest: &Manifest, text: &[u8]) -> Result<(), ReadError> {
        let differs = |what: &str| {
            Err(ReadError::damaged(format!(
                "the manifest and the snapshot differ in {what}"
            )))
        };
        if manifest.info != self.header.info || parse_sha256(&manifest.head_sha256) != Some(self.header.sha256) {
            return differs("the head");
        }
        if manifest.tar_bytes != self.next.raw {
            return differs("the length");
        }
        if manifest.chunks.len() != self.next.index as usize || parse_sha256(&manifest.sha256) != Some(self.next.chain)
        {
            return differs("the digests of the chunks");
        }
        // Also the chunks before the one at which reading resumed.
        let (mut chain, mut left) = (DigestChain(self.header.sha256), manifest.tar_bytes);
        for (index, (_, length, sha256)) in manifest.chunks.iter().enumerate() {
            let raw = left.min(CHUNK as u64);
            left -= raw;
            let (Ok(index), Ok(raw), Some(sha256)) = (u32::try_from(index), u32::try_from(raw), parse_sha256(sha256))
            else {
                return differs("the digests of the chunks");
            };
            let length = *length;
            chain.add(&ChunkHeader {
                index,
                length,
                raw,
                sha256,
            });
        }
        if chain.0 != self.next.chain || serde_json::to_vec(manifest).ok().as_deref() != Some(text) {
            return differs("the digests of the chunks");
        }
        Ok(())
    }

    /// Reads the next part. `false` after the last.
    fn advance(&mut self) -> Result<bool, ReadError> {
        self.chunk.clear();
        self.read = 0;
        let Some(done) = self.results.next() else {
            return Ok(false);
        };
        if self.ended {
            return Err(ReadError::damaged("something follows the end of the snapshot"));
        }
        match done {
            Verified::Broken(error) => return Err(ReadError::parsing(error)),
            Verified::Chunk(at, header, found) => {
                let named = |what: &str| ReadError::damaged(format!("chunk {} (byte {at}): {what}", self.next.index));
                if self.manifest.is_some() || header.index != self.next.index {
                    return Err(named("it is not where it belongs"));
                }
                let raw = found.map_err(|what| named(&what))?;
                let mut chain = DigestChain(self.next.chain);
                chain.add(&header);
                let begins = self.next.raw;
                self.cursor.set(self.next);
                self.next = Checkpoint {
                    index: header.index + 1,
                    offset: at + u64::from(header.length),
                    raw: begins + u64::from(header.raw),
                    chain: chain.0,
                };
                self.chunk = raw;
            }
            Verified::Part(Part::Manifest(text)) if self.manifest.is_none() => self.manifest = Some(text),
            Verified::Part(Part::Signature(text)) if self.manifest.is_some() && self.signature.is_none() => {
                self.signature = Some(text);
            }
            Verified::Part(Part::End(digest)) if self.manifest.is_some() => {
                let parts = [self.manifest.as_deref(), self.signature.as_deref()].map(Option::unwrap_or_default);
                if digest != sha256(&parts.concat()) {
                    return Err(ReadError::damaged("the manifest or its signature is damaged"));
                }
                self.ended = true;
            }
            Verified::Part(_) => return Err(ReadError::damaged("a part of the snapshot is not where it belongs")),
        }
        Ok(true)
    }
}

impl Read for VerifiedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.chunk.len() {
            if self.manifest.is_some() || !self.advance().map_err(io::Error::other)? {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.chunk.len() - self.read);
        buffer[..length].copy_from_slice(&self.chunk[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}

fn verifier() -> io::Result<impl FnMut(io::Result<Part>) -> Verified + Send + 'static> {
    let mut zstd = zstd::bulk::Decompressor::new()?;
    Ok(move |part| match part {
        Err(error) => Verified::Broken(error),
        Ok(Part::Chunk(at, header, frame)) => {
            let raw = if sha256(&frame) == header.sha256 {
                match zstd.decompress(&frame, header.raw as usize) {
                    Ok(raw) if raw.len() == header.raw as usize => Ok(raw),
                    Ok(_) => Err("it has another length than it says".to_owned()),
                    Err(error) => Err(format!("it cannot be decompressed: {error}")),
                }
            } else {
                Err("its SHA-256 is not the one that was written before it".to_owned())
            };
            Verified::Chunk(at, header, raw)
        }
        Ok(part) => Verified::Part(part),
    })
}
