//! Unpacks a snapshot, and resumes that after an interruption.

use std::io::{self, Read};

use anyhow::{Context as _, ensure};

use super::disk::{RESERVE, sync_file_system};
use super::prepare::Preparation;
use super::unpack::{UnknownEntryPolicy, UnpackedData, unpack};
use crate::journal::{Journal, ResumePoint};
use crate::snapshot::{Checkpoint, Consistency, Header, ReadError, VerifiedReader, parse_sha256, read_header};
use crate::survey::Survey;
use agent_core::units::show_mib;

/// Needed for each file beyond its content, bytes: its last block and its name.
const PER_FILE: u64 = 4 << 10;
/// Unpacked between two resume points, bytes: the most that is unpacked again after a kill.
const SYNC_EVERY: u64 = 256 << 20;

/// Unpacks a snapshot and verifies all of it. Returns the journal to commit with.
pub(super) fn unpack_snapshot(
    preparation: &mut Preparation<'_>,
    mut from: Box<dyn Read + Send>,
) -> anyhow::Result<(Journal, UnpackedData)> {
    let source = preparation.source;
    ensure!(
        preparation.options.sha256.is_none(),
        "{} is a snapshot, which has digests of its own: leave --sha256 away",
        source.name()
    );
    let header = read_header(&mut from).with_context(|| source.name())?;
    let info = header.info.clone();
    preparation.ensure_compatible(&info.chains)?;
    let (mut journal, resumed) = begin(preparation, &header)?;
    let before = journal.point.clone();
    let (files, bytes) = before.as_ref().map_or((0, 0), |point| (point.files, point.bytes));
    let needed = info.bytes.saturating_add(info.files.saturating_mul(PER_FILE));
    let needed = needed.saturating_sub(preparation.unpacked_bytes()?);
    ensure_room(preparation, needed.saturating_add(RESERVE))?;
    let first = Checkpoint::first(&header);
    let (checkpoint, entry) = resumed.unwrap_or((first, 0));
    if checkpoint != first {
        preparation.observer.note(&format!(
            "going on at chunk {}: {} are in place already",
            checkpoint.index,
            show_mib(bytes)
        ));
        drop(from);
        from = source
            .open(checkpoint.offset)
            .context("cannot go on with the snapshot")?;
    }
    preparation.observer.begin("restore", Some(info.bytes));
    preparation.observer.advance(bytes);
    let mut reader = VerifiedReader::new(from, header, checkpoint)?;
    io::copy(
        &mut (&mut reader).take(entry.saturating_sub(checkpoint.raw)),
        &mut io::sink(),
    )?;
    let (dir, cursor) = (preparation.restore.unpacked()?, reader.cursor());
    let restore = preparation.restore;
    let target = preparation.target(&dir, UnknownEntryPolicy::Refuse, 0)?;
    let mut synced = 0;
    let record_point = |at: u64, now: &UnpackedData| {
        if now.bytes < synced + SYNC_EVERY {
            return Ok(());
        }
        synced = now.bytes;
        sync_file_system(&dir)?;
        let checkpoint = cursor.get();
        journal.point = Some(ResumePoint {
            index: checkpoint.index,
            offset: checkpoint.offset,
            raw: checkpoint.raw,
            chain: hex::encode(checkpoint.chain),
            entry: entry + at,
            files: files + now.files,
            bytes: bytes + now.bytes,
        });
        restore.write(&journal)
    };
    let most = info.bytes.saturating_sub(bytes);
    let unpacked = unpack(&mut reader, &target, most, preparation.observer, record_point).map_err(read_error)?;
    reader.finish(preparation.options.public_key.as_ref())?;
    preparation.observer.end();
    let files = files + unpacked.files;
    let complete = files == info.files && bytes + unpacked.bytes == info.bytes;
    // Files that vanished while the node ran had been counted before.
    ensure!(
        complete || info.consistency == Consistency::CrashConsistent,
        "{} files were in the snapshot, and {} were expected",
        files,
        info.files
    );
    // Files that another attempt left there were not verified.
    let found = Survey::read(&dir)?.tree.files;
    ensure!(
        found == files,
        "{} has more than the snapshot: give it up (t0rn-agent snapshot abandon), and restore again",
        dir.path().display()
    );
    Ok((journal, unpacked))
}

/// A new journal, or one to resume with the checkpoint and the offset of the next entry in the tar stream.
fn begin(preparation: &Preparation<'_>, header: &Header) -> anyhow::Result<(Journal, Option<(Checkpoint, u64)>)> {
    let head = hex::encode(header.sha256);
    if let Some(mut journal) = preparation.journal_to_resume(&head)? {
        journal.keep_old = preparation.options.keep_old;
        let resumed = journal.point.as_ref().and_then(|point| {
            let checkpoint = Checkpoint {
                index: point.index,
                offset: point.offset,
                raw: point.raw,
                chain: parse_sha256(&point.chain)?,
            };
            Some((checkpoint, point.entry))
        });
        if resumed.is_some() {
            return Ok((journal, resumed));
        }
    }
    preparation.new_journal(head).map(|journal| (journal, None))
}

fn ensure_room(preparation: &mut Preparation<'_>, needed: u64) -> anyhow::Result<()> {
    let (free, data) = (preparation.free_space()?, preparation.data.path().display());
    ensure!(
        free >= needed,
        "the restore needs {} beside the present data, and {data} has {} free: make room, or grow the volume",
        show_mib(needed),
        show_mib(free)
    );
    preparation.observer.note(&format!(
        "needs {} beside the present data; {data} has {} free",
        show_mib(needed),
        show_mib(free)
    ));
    Ok(())
}

/// The reader's own error, without what the tar library adds to it.
fn read_error(error: anyhow::Error) -> anyhow::Error {
    let mut inner = error.chain().filter_map(|e| e.downcast_ref::<io::Error>());
    let refused = inner.find_map(|e| e.get_ref()?.downcast_ref::<ReadError>().map(ToString::to_string));
    refused.map_or(error, |text| anyhow::Error::new(ReadError::Damaged(text)))
}
