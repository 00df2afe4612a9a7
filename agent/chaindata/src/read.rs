//! A snapshot as a tar stream of which every byte was proven before it comes out.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::format::{CHUNK, Chain, Digest, Head, Label, Manifest, Part, Parts, SCHEMA, sha256, unhex};
use super::pool::{Outputs, Pool};
use super::sign::{NotSigned, PublicKey};

/// Why a snapshot is not taken. Each names the place.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Damaged(String),
    #[error("cannot read the snapshot: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    NotSigned(#[from] NotSigned),
}

fn damaged(words: impl Into<String>) -> Refused {
    Refused::Damaged(words.into())
}

/// What a snapshot says first.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    pub(super) head: Head,
    pub(super) sha256: Digest,
    /// Length of it, bytes: where the chunks begin.
    pub(super) length: u64,
}

/// Reads the head, which is proven at the end alone.
pub(super) fn opening(from: &mut dyn Read) -> Result<Opening, Refused> {
    #[derive(serde::Deserialize)]
    struct Schema {
        schema: u32,
    }
    let mut parts = Parts::new(from, 0);
    let Some(Part::Head(text)) = parts.next().map_err(wrong)? else {
        return Err(damaged("byte 0: no snapshot begins here"));
    };
    let unreadable = |error: serde_json::Error| damaged(format!("the head cannot be read: {error}"));
    let Schema { schema } = serde_json::from_slice(&text).map_err(unreadable)?;
    if schema != SCHEMA {
        return Err(damaged(format!(
            "the snapshot has schema {schema}, this agent knows {SCHEMA}: use its own version"
        )));
    }
    Ok(Opening {
        head: serde_json::from_slice(&text).map_err(unreadable)?,
        sha256: sha256(&text),
        length: parts.at(),
    })
}

/// Where a snapshot is gone on from: the beginning of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: u32,
    /// Where its part begins in the snapshot.
    pub(super) offset: u64,
    /// Where it begins in the tar stream.
    pub(super) raw: u64,
    /// The digests before it.
    pub(super) chain: Digest,
}

impl Place {
    pub(super) fn first(opening: &Opening) -> Self {
        Self {
            index: 0,
            offset: opening.length,
            raw: 0,
            chain: opening.sha256,
        }
    }
}

/// Where a reader is.
#[derive(Debug, Clone)]
pub(super) struct Here(Arc<Mutex<Place>>);

impl Here {
    pub(super) fn get(&self) -> Place {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Job {
    Chunk(u64, Label, Vec<u8>),
    Part(Part),
    Broken(io::Error),
}

enum Done {
    /// The chunk, or what is wrong with it.
    Chunk(u64, Label, Result<Vec<u8>, String>),
    Part(Part),
    Broken(io::Error),
}

/// The proven tar stream. Reading fails with [`Refused`] inside the error.
pub(super) struct Proven {
    outputs: Outputs<Done>,
    opening: Opening,
    here: Here,
    /// Of the chunk after it.
    next: Place,
    chunk: Vec<u8>,
    read: usize,
    manifest: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
    ended: bool,
    over: Arc<AtomicBool>,
}

impl Proven {
    /// `from` stands at `place`.
    pub(super) fn new(from: Box<dyn Read + Send>, opening: Opening, place: Place) -> io::Result<Self> {
        let mut pool = Pool::new(prover)?;
        let outputs = pool
            .outputs()
            .ok_or_else(|| io::Error::other("the pool has its outputs once"))?;
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            let mut parts = Parts::new(from, place.offset);
            while !is_over.load(Ordering::Relaxed) {
                let (job, last) = match parts.next() {
                    Ok(None) => return,
                    Ok(Some(Part::Chunk(at, label, frame))) => (Job::Chunk(at, label, frame), false),
                    Ok(Some(part)) => (Job::Part(part), false),
                    Err(error) => (Job::Broken(error), true),
                };
                if !pool.put(job) || last {
                    return;
                }
            }
        })?;
        Ok(Self {
            outputs,
            opening,
            here: Here(Arc::new(Mutex::new(place))),
            next: place,
            chunk: Vec::new(),
            read: 0,
            manifest: None,
            signature: None,
            ended: false,
            over,
        })
    }

    /// Tells the chunk of the byte that was read last, also while somebody reads.
    pub(super) fn here(&self) -> Here {
        self.here.clone()
    }

    /// Reads what is left, and holds all of it against the manifest and, with a key, the manifest against its signature.
    pub(super) fn finish(mut self, key: Option<&PublicKey>) -> Result<Manifest, Refused> {
        while self.advance()? {}
        let text = self.manifest.take();
        let text =
            text.ok_or_else(|| damaged("the snapshot ends before its manifest: it was not written to its end"))?;
        if !self.ended {
            return Err(damaged(
                "the snapshot ends before its end: it was not written to its end",
            ));
        }
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| damaged(format!("the manifest cannot be read: {error}")))?;
        self.compare(&manifest, &text)?;
        if let Some(key) = key {
            let signature = self.signature.take().ok_or(NotSigned::Missing)?;
            let signature = String::from_utf8(signature).map_err(|_| NotSigned::Damaged)?;
            key.verify(&text, &signature)?;
        }
        Ok(manifest)
    }

    fn compare(&self, manifest: &Manifest, text: &[u8]) -> Result<(), Refused> {
        let differs = |what: &str| Err(damaged(format!("the manifest and the snapshot differ in {what}")));
        if manifest.head != self.opening.head || unhex(&manifest.head_sha256) != Some(self.opening.sha256) {
            return differs("the head");
        }
        if manifest.tar_bytes != self.next.raw {
            return differs("the length");
        }
        if manifest.chunks.len() != self.next.index as usize || unhex(&manifest.sha256) != Some(self.next.chain) {
            return differs("the digests of the chunks");
        }
        // Also those before the place that was gone on from.
        let (mut chain, mut left) = (Chain(self.opening.sha256), manifest.tar_bytes);
        for (index, (_, length, sha256)) in manifest.chunks.iter().enumerate() {
            let raw = left.min(CHUNK as u64);
            left -= raw;
            let (Ok(index), Ok(raw), Some(sha256)) = (u32::try_from(index), u32::try_from(raw), unhex(sha256)) else {
                return differs("the digests of the chunks");
            };
            let length = *length;
            chain.add(&Label {
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

    /// Takes the next part. `false` after the last.
    fn advance(&mut self) -> Result<bool, Refused> {
        self.chunk.clear();
        self.read = 0;
        let Some(done) = self.outputs.next() else {
            return Ok(false);
        };
        if self.ended {
            return Err(damaged("something follows the end of the snapshot"));
        }
        match done {
            Done::Broken(error) => return Err(wrong(error)),
            Done::Chunk(at, label, found) => {
                let named = |what: &str| damaged(format!("chunk {} (byte {at}): {what}", self.next.index));
                if self.manifest.is_some() || label.index != self.next.index {
                    return Err(named("it is not where it belongs"));
                }
                let raw = found.map_err(|what| named(&what))?;
                let mut chain = Chain(self.next.chain);
                chain.add(&label);
                let begins = self.next.raw;
                *self.here.0.lock().unwrap_or_else(PoisonError::into_inner) = self.next;
                self.next = Place {
                    index: label.index + 1,
                    offset: at + u64::from(label.length),
                    raw: begins + u64::from(label.raw),
                    chain: chain.0,
                };
                self.chunk = raw;
            }
            Done::Part(Part::Manifest(text)) if self.manifest.is_none() => self.manifest = Some(text),
            Done::Part(Part::Signature(text)) if self.manifest.is_some() && self.signature.is_none() => {
                self.signature = Some(text);
            }
            Done::Part(Part::End(digest)) if self.manifest.is_some() => {
                let parts = [self.manifest.as_deref(), self.signature.as_deref()].map(Option::unwrap_or_default);
                if digest != sha256(&parts.concat()) {
                    return Err(damaged("the manifest or its signature is damaged"));
                }
                self.ended = true;
            }
            Done::Part(_) => return Err(damaged("a part of the snapshot is not where it belongs")),
        }
        Ok(true)
    }
}

impl Drop for Proven {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Read for Proven {
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

fn prover() -> io::Result<impl FnMut(Job) -> Done + Send + 'static> {
    let mut zstd = zstd::bulk::Decompressor::new()?;
    Ok(move |job| match job {
        Job::Part(part) => Done::Part(part),
        Job::Broken(error) => Done::Broken(error),
        Job::Chunk(at, label, frame) => {
            let raw = if sha256(&frame) == label.sha256 {
                match zstd.decompress(&frame, label.raw as usize) {
                    Ok(raw) if raw.len() == label.raw as usize => Ok(raw),
                    Ok(_) => Err("it has another length than it says".to_owned()),
                    Err(error) => Err(format!("it cannot be decompressed: {error}")),
                }
            } else {
                Err("its SHA-256 is not the one that was written before it".to_owned())
            };
            Done::Chunk(at, label, raw)
        }
    })
}

fn wrong(error: io::Error) -> Refused {
    if error.kind() == io::ErrorKind::InvalidData {
        damaged(error.to_string())
    } else {
        Refused::Io(error)
    }
}
