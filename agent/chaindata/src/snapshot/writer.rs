//! Writer of a snapshot: a tar stream, cut into chunks that several threads compress.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use agent_files::Dir;
use anyhow::{Context as _, ensure};
use tar::{Builder, EntryType, Header};

use super::format::{CHUNK, ChunkHeader, DigestChain, Part, sha256};
use super::manifest::{Consistency, Manifest, SnapshotInfo};
use super::pool::{OrderedPool, OrderedResults, ordered_pool};
use super::signature::SecretKey;
use crate::observer::Observer;

/// Compression level: zstd's default.
const LEVEL: i32 = 3;

#[derive(Debug)]
pub struct CreatedSnapshot {
    pub manifest: Manifest,
    /// The manifest as it stands in the snapshot, which is what the signature covers.
    pub text: Vec<u8>,
    pub signature: Option<String>,
}

/// A file or directory that is copied.
#[derive(Debug)]
pub(crate) struct CopyEntry {
    /// Path in the snapshot and in the data directory.
    pub(super) place: PathBuf,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// What is in the data directory when its turn comes.
    InPlace,
    /// A file that was opened before.
    Held {
        file: File,
        /// Of the file in the data directory.
        about: Box<Metadata>,
        length: u64,
    },
}

/// Writes `entries` of `data` to `to`, and calls `verify` once all of them were read. Blocks for as long as reading, compressing and
/// writing takes.
///
/// Fails when an entry cannot be read or `to` cannot be written; for clean data, also when an entry changes meanwhile.
pub(crate) fn write_snapshot<W: Write + Send>(
    data: &Dir,
    entries: &[CopyEntry],
    info: &SnapshotInfo,
    to: &mut W,
    signer: Option<&SecretKey>,
    observer: &mut dyn Observer,
    verify: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<CreatedSnapshot> {
    let text = serde_json::to_vec(info)?;
    let at = Part::Head(text.clone())
        .write(to)
        .context("cannot write the snapshot")?;
    let (pool, results) = ordered_pool(compressor)?;
    let (tarred, written) = thread::scope(|scope| {
        let written = scope.spawn(|| write_chunks(results, &text, at, to));
        let mut chunks = ChunkWriter {
            pool,
            filling: Vec::with_capacity(CHUNK),
            taken: 0,
        };
        let tarred = write_tar(data, entries, info.consistency, &mut chunks, observer).map(|()| chunks.taken);
        // The writing thread would wait for more.
        drop(chunks);
        let written = written
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the writer broke down")));
        (tarred, written)
    });
    // A failed write is the cause of a failed tar stream.
    let written = written.context("cannot write the snapshot")?;
    let tar_bytes = tarred?;
    verify()?;
    let manifest = Manifest {
        info: info.clone(),
        head_sha256: hex::encode(sha256(&text)),
        tar_bytes,
        sha256: hex::encode(written.chain.0),
        chunks: written.chunks,
    };
    let text = serde_json::to_vec(&manifest)?;
    let comment = format!("made {} by t0rn-agent {}", info.at, info.agent);
    let signature = signer.map(|key| key.sign(&text, &comment));
    let mut last = vec![Part::Manifest(text.clone())];
    last.extend(signature.clone().map(|text| Part::Signature(text.into_bytes())));
    let all = [text.as_slice(), signature.as_deref().unwrap_or_default().as_bytes()].concat();
    last.push(Part::End(sha256(&all).to_vec()));
    for part in last {
        part.write(to).context("cannot write the snapshot")?;
    }
    to.flush().context("cannot write the snapshot")?;
    Ok(CreatedSnapshot {
        manifest,
        text,
        signature,
    })
}

type Compressed = io::Result<(u32, Vec<u8>)>;

fn compressor() -> io::Result<impl FnMut(Vec<u8>) -> Compressed + Send + 'static> {
    let mut zstd = zstd::bulk::Compressor::new(LEVEL)?;
    zstd.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
    Ok(move |raw: Vec<u8>| {
        let length = u32::try_from(raw.len()).map_err(io::Error::other)?;
        Ok((length, zstd.compress(&raw)?))
    })
}

struct WrittenChunks {
    chain: DigestChain,
    chunks: Vec<(u64, u32, String)>,
}

fn write_chunks(
    results: OrderedResults<Compressed>,
    info: &[u8],
    mut at: u64,
    to: &mut dyn Write,
) -> io::Result<WrittenChunks> {
    let (mut chain, mut chunks) = (DigestChain::new(info), Vec::new());
    for compressed in results {
        let (raw, frame) = compressed?;
        let header = ChunkHeader {
            index: u32::try_from(chunks.len()).map_err(io::Error::other)?,
            length: u32::try_from(frame.len()).map_err(io::Error::other)?,
            raw,
            sha256: sha256(&frame),
        };
        chain.add(&header);
        at += Part::Chunk(0, header, frame).write(to)?;
        chunks.push((at - u64::from(header.length), header.length, hex::encode(header.sha256)));
    }
    Ok(WrittenChunks { chain, chunks })
}

struct ChunkWriter {
    pool: OrderedPool<Vec<u8>, Compressed>,
    filling: Vec<u8>,
    taken: u64,
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(CHUNK - self.filling.len());
        self.filling.extend_from_slice(&bytes[..length]);
        self.taken += length as u64;
        if self.filling.len() == CHUNK {
            self.flush()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.filling.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.filling, Vec::with_capacity(CHUNK));
        if self.pool.put(full) {
            Ok(())
        } else {
            Err(io::Error::other("the next chunk is not taken"))
        }
    }
}

fn write_tar(
    data: &Dir,
    entries: &[CopyEntry],
    consistency: Consistency,
    to: &mut ChunkWriter,
    observer: &mut dyn Observer,
) -> anyhow::Result<()> {
    let live = consistency == Consistency::CrashConsistent;
    let owner = data.metadata()?.uid();
    let mut tar = Builder::new(to);
    for CopyEntry { place, content } in entries {
        let shown = data.path().join(place);
        let opened;
        let (file, about, length) = match content {
            Content::Held { file, about, length } => (file, &**about, *length),
            Content::InPlace => {
                opened = match open(data, place) {
                    Err(error) if live && error.kind() == io::ErrorKind::NotFound => continue,
                    opened => opened.with_context(|| format!("cannot read {}", shown.display()))?,
                };
                (&opened.0, &opened.1, opened.1.len())
            }
        };
        // No collator made it, and what only root may read must not be in a snapshot.
        ensure!(
            about.uid() != 0 || owner == 0,
            "{} belongs to root, and the data does not: chown it, or remove it",
            shown.display()
        );
        let mut header = Header::new_gnu();
        header.set_metadata(about);
        if about.is_dir() {
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            tar.append_data(&mut header, place, io::empty())?;
            continue;
        }
        header.set_size(length);
        let left = length;
        let mut content = ExactReader { file, left, observer };
        tar.append_data(&mut header, place, &mut content)
            .with_context(|| format!("cannot copy {}", shown.display()))?;
        ensure!(
            live || !file.metadata().is_ok_and(|now| has_changed(about, &now)),
            "{} changed while it was copied: does a node run on it?",
            shown.display()
        );
    }
    let to = tar.into_inner()?;
    Ok(to.flush()?)
}

/// Opens a directory or a file. What is described is what was opened.
fn open(data: &Dir, place: &Path) -> io::Result<(File, Metadata)> {
    if data.entry(place)?.is_dir() {
        let dir = data.dir(place)?;
        return Ok((dir.handle().try_clone()?, dir.metadata()?));
    }
    let file = data.file(place)?;
    let about = file.metadata()?;
    Ok((file, about))
}

fn has_changed(then: &Metadata, now: &Metadata) -> bool {
    then.len() != now.len() || then.modified().ok() != now.modified().ok()
}

/// Reads a given number of bytes of a file that may grow; fails when it has fewer.
struct ExactReader<'a> {
    file: &'a File,
    left: u64,
    observer: &'a mut dyn Observer,
}

impl Read for ExactReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(&mut buffer[..most])?;
        if read == 0 && self.left > 0 && most > 0 {
            return Err(io::Error::other("it became shorter while it was copied"));
        }
        self.left -= read as u64;
        self.observer.advance(read as u64);
        Ok(read)
    }
}
