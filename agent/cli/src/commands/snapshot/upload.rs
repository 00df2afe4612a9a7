//! A snapshot into S3, in parts. What was sent is noted, so that the next attempt sends what is missing or has changed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::remote::s3;
use agent_aws::{S3Bucket, S3Error};
use agent_chaindata::snapshot::sha256;
use agent_files::{make_dir, read_file, remove_file, replace_file};

/// The smallest part, bytes; S3 takes none below 5 MiB.
const SMALLEST: u64 = 8 << 20;
/// Parts that an upload has at most: S3 takes 10,000.
const MOST: u64 = 9_000;
const NOTE: &str = "upload.json";
/// The largest note that is read, bytes: 9,000 parts with a digest and a tag each.
const NOTE_MAX: u64 = 4 << 20;

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    to: String,
    id: String,
    part: usize,
    /// Digest of each part that was sent, and what S3 answered.
    sent: Vec<(String, String)>,
    /// Algorithm of the checksums that the upload was begun with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

impl Note {
    /// The note of an upload that was interrupted.
    fn read(file: &Path) -> Option<Self> {
        let text = read_file(file, NOTE_MAX).ok()?;
        Self::parse(&text).ok()
    }

    /// Reads the text of a file.
    pub(crate) fn parse(text: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }

    fn write(&self, file: &Path) -> io::Result<()> {
        make_dir(file.parent().unwrap_or(file))?;
        replace_file(file, &serde_json::to_vec(self)?)
    }
}

/// An object that is there when it is whole.
#[derive(Debug)]
pub(crate) struct Upload {
    bucket: S3Bucket,
    key: String,
    runtime: Handle,
    filling: Vec<u8>,
    part: usize,
    note: Note,
    file: PathBuf,
    tags: Vec<String>,
    /// Bytes of the object so far.
    size: u64,
}

impl Upload {
    /// Begins an upload to `s3://BUCKET/KEY`, or goes on with one that was interrupted. `bytes` is about how much will
    /// come; what was sent is noted in `state_dir`.
    pub(crate) async fn open(to: &str, imds: &str, bytes: u64, state_dir: &Path) -> anyhow::Result<Self> {
        let (bucket, key) = s3(to)?.with_context(|| format!("{to}: give s3://BUCKET/KEY"))?;
        let key = key.to_owned();
        let part = usize::try_from((bytes / MOST).max(SMALLEST))?;
        let file = state_dir.join(NOTE);
        let begun = Note::read(&file).filter(|note| note.to == to && note.part == part);
        // S3 takes no other checksums for an upload than those it was begun with.
        let without = |note: &Note| note.checksum.is_none() && !note.sent.is_empty();
        let bucket = S3Bucket::open(bucket, imds, !begun.as_ref().is_some_and(without)).await;
        let bucket = bucket.with_context(|| to.to_owned())?;
        let checksum = bucket.checksum().map(str::to_owned);
        let note = match begun.filter(|note| note.checksum == checksum) {
            Some(note) => note,
            None => Note {
                to: to.to_owned(),
                id: bucket.begin_upload(&key).await.with_context(|| to.to_owned())?,
                part,
                sent: Vec::new(),
                checksum,
            },
        };
        let upload = Self {
            bucket,
            key,
            runtime: Handle::current(),
            filling: Vec::with_capacity(part),
            part,
            note,
            file,
            tags: Vec::new(),
            size: 0,
        };
        upload.remember().context("cannot note the upload")?;
        Ok(upload)
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.send()?;
        let ended = self.runtime.block_on(
            self.bucket
                .complete_upload(&self.key, &self.note.id, &self.tags, self.size),
        );
        self.settle(ended)?;
        remove_file(&self.file)
    }

    fn send(&mut self) -> io::Result<()> {
        if self.filling.is_empty() {
            return Ok(());
        }
        let part = Bytes::from(std::mem::replace(&mut self.filling, Vec::with_capacity(self.part)));
        let (digest, index) = (hex::encode(sha256(&part)), self.tags.len());
        if let Some((_, tag)) = self.note.sent.get(index).filter(|(sent, _)| *sent == digest) {
            self.tags.push(tag.clone());
            return Ok(());
        }
        let sent = self
            .runtime
            .block_on(self.bucket.upload_part(&self.key, &self.note.id, index, part));
        let tag = self.settle(sent)?;
        self.tags.push(tag.clone());
        if index < self.note.sent.len() {
            self.note.sent[index] = (digest, tag);
        } else {
            self.note.sent.push((digest, tag));
        }
        self.remember()
    }

    /// An upload that is over cannot be gone on with.
    fn settle<T>(&self, result: Result<T, S3Error>) -> io::Result<T> {
        if result.as_ref().is_err_and(S3Error::is_no_upload) {
            let _ = remove_file(&self.file);
        }
        result.map_err(|error| io::Error::other(format!("{}: {error}", self.note.to)))
    }

    fn remember(&self) -> io::Result<()> {
        self.note.write(&self.file)
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.filling.len() == self.part {
            self.send()?;
        }
        let length = bytes.len().min(self.part - self.filling.len());
        self.filling.extend_from_slice(&bytes[..length]);
        self.size += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        // The last part is sent at the end alone: the others must not be smaller.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_crash_states::{Steps, operation};

    #[test]
    fn note_after_power_cut_is_old_or_new_and_stays_removed() -> anyhow::Result<()> {
        let numbered = |number: usize| Note {
            to: "s3://bucket/chain.tar.zst".to_owned(),
            id: "an id".to_owned(),
            part: 8 << 20,
            sent: vec![("00ff".repeat(16), "\"tag\"".to_owned()); 20 * number],
            checksum: None,
        };
        let run = |root: &Path, steps: &Steps| {
            let file = root.join("state").join(NOTE);
            steps.step(|| numbered(1).write(&file))?;
            steps.step(|| numbered(2).write(&file))?;
            Ok(steps.step(|| remove_file(&file))?)
        };
        let operation = operation!(note_after_power_cut_is_old_or_new_and_stays_removed);
        operation.check(
            |_| Ok(()),
            run,
            |root, progress| {
                let file = root.join("state").join(NOTE);
                let found = Note::read(&file);
                anyhow::ensure!(found.is_some() || !file.exists(), "it cannot be read");
                let is = |number: usize| found == (1..=2).contains(&number).then(|| numbered(number));
                anyhow::ensure!((progress.acknowledged..=progress.begun).any(is), "{found:?}");
                Ok(())
            },
        )
    }

    #[test]
    fn a_note_of_version_0_1_0_is_read_and_written_alike() {
        let text = r#"{"to":"s3://bucket/a chain.tar.zst","id":"an id","part":8388608,"sent":[["00ff","\"one\""]]}"#;
        let note: Note = serde_json::from_str(text).unwrap_or_default();
        assert_eq!(note.sent, [("00ff".to_owned(), "\"one\"".to_owned())]);
        assert_eq!(serde_json::to_string(&note).unwrap_or_default(), text);
    }
}
