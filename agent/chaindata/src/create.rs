//! Chain data as a stream: what may be in it, compressed by several threads, each chunk with its digest.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use tar::{Builder, EntryType, Header};

use super::Consistency;
use super::format::{CHUNK, Chain, Head, Label, Manifest, Part, sha256};
use super::pool::{Outputs, Pool};
use super::progress::Progress;
use super::sign::SecretKey;

/// Zstd's own default.
const LEVEL: i32 = 3;

/// A snapshot that was written.
#[derive(Debug)]
pub struct Created {
    pub manifest: Manifest,
    /// As it stands in the snapshot, which is what was signed.
    pub text: Vec<u8>,
    pub signature: Option<String>,
    /// Bytes of the snapshot.
    pub length: u64,
}

/// One thing that is copied.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Where it belongs, relative to the data directory.
    pub(super) place: PathBuf,
    /// Where it is read.
    pub(super) from: PathBuf,
}

/// Writes `items` to `to`; `proof` is asked once all of them were read. This blocks for as long as reading, compressing and writing all of it takes.
///
/// Fails when a file cannot be read, or, but for crash-consistent data, when one changes while it is read; and when `to`
/// takes no more.
pub(super) fn create<W: Write + Send>(
    items: &[Item],
    head: &Head,
    to: &mut W,
    signer: Option<&SecretKey>,
    progress: &Progress,
    proof: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Created> {
    let text = serde_json::to_vec(head)?;
    let at = Part::Head(text.clone())
        .write(to)
        .context("cannot write the snapshot")?;
    let mut pool = Pool::new(compressor)?;
    let outputs = pool.outputs().context("the pool has its outputs once")?;
    let (tarred, written) = thread::scope(|scope| {
        let written = scope.spawn(|| write_chunks(outputs, &text, at, to));
        let mut chunks = Chunks::new(pool);
        let tarred = archive(items, head.consistency, &mut chunks, progress).map(|()| chunks.taken);
        // Without it, the writer would wait for more.
        drop(chunks);
        let written = written
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the writer broke down")));
        (tarred, written)
    });
    // Why nothing could be written says more than that nobody took the next chunk.
    let written = written.context("cannot write the snapshot")?;
    let tar_bytes = tarred?;
    proof()?;
    let manifest = Manifest {
        head: head.clone(),
        head_sha256: hex::encode(sha256(&text)),
        tar_bytes,
        sha256: hex::encode(written.chain.0),
        chunks: written.chunks,
    };
    let text = serde_json::to_vec(&manifest)?;
    let comment = format!("made {} by t0rn-agent {}", head.at, head.agent);
    let signature = signer.map(|key| key.sign(&text, &comment));
    let mut length = written.at;
    let mut last = vec![Part::Manifest(text.clone())];
    last.extend(signature.clone().map(|text| Part::Signature(text.into_bytes())));
    let all = [text.as_slice(), signature.as_deref().unwrap_or_default().as_bytes()].concat();
    last.push(Part::End(sha256(&all).to_vec()));
    for part in last {
        length += part.write(to).context("cannot write the snapshot")?;
    }
    to.flush().context("cannot write the snapshot")?;
    Ok(Created {
        manifest,
        text,
        signature,
        length,
    })
}

type Compressed = io::Result<(u32, Vec<u8>)>;

/// What a thread compresses with.
fn compressor() -> io::Result<impl FnMut(Vec<u8>) -> Compressed + Send + 'static> {
    let mut zstd = zstd::bulk::Compressor::new(LEVEL)?;
    zstd.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
    Ok(move |raw: Vec<u8>| {
        let length = u32::try_from(raw.len()).map_err(io::Error::other)?;
        Ok((length, zstd.compress(&raw)?))
    })
}

/// What the writer knows at the end.
struct Written {
    chain: Chain,
    chunks: Vec<(u64, u32, String)>,
    at: u64,
}

fn write_chunks(mut outputs: Outputs<Compressed>, head: &[u8], mut at: u64, to: &mut dyn Write) -> io::Result<Written> {
    let (mut chain, mut chunks) = (Chain::new(head), Vec::new());
    while let Some(compressed) = outputs.next() {
        let (raw, frame) = compressed?;
        let label = Label {
            index: u32::try_from(chunks.len()).map_err(io::Error::other)?,
            length: u32::try_from(frame.len()).map_err(io::Error::other)?,
            raw,
            sha256: sha256(&frame),
        };
        chain.add(&label);
        at += Part::Chunk(0, label, frame).write(to)?;
        chunks.push((at - u64::from(label.length), label.length, hex::encode(label.sha256)));
    }
    Ok(Written { chain, chunks, at })
}

/// Cuts what is written into chunks.
struct Chunks {
    pool: Pool<Vec<u8>, Compressed>,
    filling: Vec<u8>,
    taken: u64,
}

impl Chunks {
    fn new(pool: Pool<Vec<u8>, Compressed>) -> Self {
        Self {
            pool,
            filling: Vec::with_capacity(CHUNK),
            taken: 0,
        }
    }
}

impl Write for Chunks {
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
            Err(io::Error::other("nobody takes the next chunk"))
        }
    }
}

fn archive(items: &[Item], consistency: Consistency, to: &mut Chunks, progress: &Progress) -> anyhow::Result<()> {
    let live = consistency == Consistency::CrashConsistent;
    let mut tar = Builder::new(to);
    for item in items {
        let about = match fs::symlink_metadata(&item.from) {
            Err(error) if live && error.kind() == io::ErrorKind::NotFound => continue,
            about => about.with_context(|| format!("cannot read {}", item.from.display()))?,
        };
        let mut header = Header::new_gnu();
        header.set_metadata(&about);
        if about.is_dir() {
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            tar.append_data(&mut header, &item.place, io::empty())?;
            continue;
        }
        if !about.is_file() {
            bail!("{}: is neither a file nor a directory any more", item.from.display());
        }
        let file = match File::open(&item.from) {
            Err(error) if live && error.kind() == io::ErrorKind::NotFound => continue,
            file => file.with_context(|| format!("cannot read {}", item.from.display()))?,
        };
        let mut content = Exactly {
            file: &file,
            left: about.len(),
            progress,
        };
        tar.append_data(&mut header, &item.place, &mut content)
            .with_context(|| format!("cannot copy {}", item.from.display()))?;
        if !live && file.metadata().is_ok_and(|now| changed(&about, &now)) {
            bail!(
                "{} changed while it was copied: does a node run on it?",
                item.from.display()
            );
        }
    }
    let to = tar.into_inner()?;
    Ok(to.flush()?)
}

fn changed(then: &fs::Metadata, now: &fs::Metadata) -> bool {
    then.len() != now.len() || then.modified().ok() != now.modified().ok()
}

/// How each of these is now, to be compared with later.
pub(super) fn marks(items: &[Item]) -> io::Result<Vec<(PathBuf, u64, Option<SystemTime>)>> {
    let mark = |item: &Item| {
        let about = fs::symlink_metadata(&item.from)?;
        let length = if about.is_file() { about.len() } else { 0 };
        Ok((item.place.clone(), length, about.modified().ok()))
    };
    items.iter().map(mark).collect()
}

/// So many bytes of a file, whatever becomes of it; fails when it has fewer.
struct Exactly<'a> {
    file: &'a File,
    left: u64,
    progress: &'a Progress,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(&mut buffer[..most])?;
        if read == 0 && self.left > 0 && most > 0 {
            return Err(io::Error::other("it became shorter while it was copied"));
        }
        self.left -= read as u64;
        self.progress.add(read as u64);
        Ok(read)
    }
}

/// All that may be in a snapshot of `data`, as its survey found it.
pub(super) fn items(data: &Path, kept: &[PathBuf]) -> Vec<Item> {
    let item = |place: &PathBuf| Item {
        place: place.clone(),
        from: data.join(place),
    };
    kept.iter().map(item).collect()
}
