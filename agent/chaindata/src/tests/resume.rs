use super::*;
use agent_files::Dir;

use crate::journal::{Journal, RestoreStage, ResumePoint};
use crate::restore_dir::RestoreDir;
use crate::snapshot::{Checkpoint, VerifiedReader, read_header};

/// Breaks off in the middle of what it is read.
struct Cut(Vec<u8>, usize);

impl SnapshotSource for Cut {
    fn name(&self) -> String {
        "a line that breaks".to_owned()
    }

    fn open(&self, at: u64) -> io::Result<Box<dyn Read + Send>> {
        struct Breaks;
        impl Read for Breaks {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the line broke"))
            }
        }
        let bytes = self.0[usize::try_from(at).unwrap()..self.1].to_vec();
        Ok(Box::new(Cursor::new(bytes).chain(Breaks)))
    }
}

/// A source that must not be read before `from`, but for the head.
struct Later(Vec<u8>, u64);

impl SnapshotSource for Later {
    fn name(&self) -> String {
        "the same".to_owned()
    }

    fn open(&self, at: u64) -> io::Result<Box<dyn Read + Send>> {
        assert!(at == 0 || at >= self.1, "byte {at} is read again");
        let end = if at == 0 { 8192 } else { self.0.len() };
        Ok(Box::new(Cursor::new(
            self.0[usize::try_from(at).unwrap()..end].to_vec(),
        )))
    }
}

#[test]
fn restore_resumed_at_any_entry_gives_same_data() {
    let from = data(1);
    let bytes = snapshot(from.path(), None);
    let mut expected = content(from.path());
    expected.retain(|path, _| !path.to_string_lossy().contains("keystore") && !path.ends_with("secret_ed25519"));
    // Where each entry could be gone on from, as a restore that is never interrupted would have noted it.
    let points = points(&bytes);
    assert!(points.len() > 15 && points.iter().any(|point| point.index >= 2));
    let first = points[0].clone();
    for point in points {
        let to = tempfile::tempdir().unwrap();
        begun(to.path(), &bytes, first.clone());
        // Everything before the point is there.
        let broken = ready(
            to.path(),
            &Cut(bytes.clone(), bytes.len() - 10),
            &RestoreOptions::default(),
        )
        .unwrap_err();
        assert!(format!("{broken:#}").contains("the line broke"), "{broken:#}");
        let restore = RestoreDir::find(&Dir::open(to.path()).unwrap()).unwrap().unwrap();
        let mut journal = restore.journal().unwrap().unwrap();
        assert_eq!(journal.stage, RestoreStage::Unpacking);
        journal.point = Some(point.clone());
        restore.write(&journal).unwrap();
        drop(restore);
        let source = Later(bytes.clone(), point.offset);
        let ready = if point.index == 0 {
            ready(to.path(), &Bytes(bytes.clone()), &RestoreOptions::default())
        } else {
            ready(to.path(), &source, &RestoreOptions::default())
        };
        commit_restore(ready.unwrap(), || Ok(())).unwrap();
        assert!(content(to.path()) == expected, "{point:?}");
    }
}

/// As if a restore had been killed after it had noted `point`.
fn begun(root: &Path, bytes: &[u8], point: ResumePoint) {
    let head = read_header(&mut &bytes[..]).unwrap().sha256;
    let restore = RestoreDir::make(&Dir::open(root).unwrap()).unwrap();
    restore.make_inner("tree").unwrap();
    let mut journal = Journal::new("elsewhere", hex::encode(head), false);
    journal.point = Some(point);
    restore.write(&journal).unwrap();
}

fn points(bytes: &[u8]) -> Vec<ResumePoint> {
    let header = read_header(&mut &bytes[..]).unwrap();
    let place = Checkpoint::first(&header);
    let rest = bytes[usize::try_from(place.offset).unwrap()..].to_vec();
    let mut reader = VerifiedReader::new(Box::new(Cursor::new(rest)), header, place).unwrap();
    let cursor = reader.cursor();
    let (mut points, mut files, mut done) = (Vec::new(), 0, 0);
    let mut archive = tar::Archive::new(&mut reader);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let here = cursor.get();
        points.push(ResumePoint {
            index: here.index,
            offset: here.offset,
            raw: here.raw,
            chain: hex::encode(here.chain),
            entry: entry.raw_header_position(),
            files,
            bytes: done,
        });
        files += u64::from(!entry.header().entry_type().is_dir());
        done += io::copy(&mut entry, &mut io::sink()).unwrap();
    }
    points
}

#[test]
fn resumable_restore_refuses_another_source() {
    let to = tempfile::tempdir().unwrap();
    let (one, other) = (snapshot(data(1).path(), None), snapshot(data(9).path(), None));
    let length = one.len() / 2;
    begun(to.path(), &one, points(&one).swap_remove(0));
    ready(to.path(), &Cut(one, length), &RestoreOptions::default()).unwrap_err();
    let refused = ready(to.path(), &Bytes(other.clone()), &RestoreOptions::default()).unwrap_err();
    assert!(refused.to_string().contains("snapshot abandon"), "{refused}");
    assert!(abandon_restore(to.path()).unwrap() && !abandon_restore(to.path()).unwrap());
    restore_all(to.path(), &Bytes(other), &RestoreOptions::default()).unwrap();
}

#[test]
fn restore_failed_before_resume_point_does_not_block_next() {
    let to = tempfile::tempdir().unwrap();
    let (one, other) = (snapshot(data(1).path(), None), snapshot(data(9).path(), None));
    ready(to.path(), &Cut(one.clone(), one.len() / 2), &RestoreOptions::default()).unwrap_err();
    restore_all(to.path(), &Bytes(other.clone()), &RestoreOptions::default()).unwrap();
    let expected = tempfile::tempdir().unwrap();
    restore_all(expected.path(), &Bytes(other), &RestoreOptions::default()).unwrap();
    assert!(content(to.path()) == content(expected.path()));
}

#[test]
fn unreadable_journal_counts_as_swapping_with_remedy() {
    let to = data(1);
    put(to.path(), ".restore/journal.json", b"{\"schema\": 1, \"sta");
    assert!(is_restore_swapping(to.path()));
    let before = content(to.path());
    let words = abandon_restore(to.path()).unwrap_err().to_string();
    assert!(words.contains(".restore/old") && words.contains("as it was"), "{words}");
    assert!(content(to.path()) == before);
}

#[test]
fn swap_killed_at_any_step_is_finished_by_next_restore() {
    let from = data(1);
    let bytes = Bytes(snapshot(from.path(), None));
    let mut steps = 0;
    for killed_at in 0.. {
        let to = data(50);
        put(to.path(), "chains/t0rn/keystore/61757261aa", b"its own");
        let old = content(to.path());
        let mut expected = content(from.path());
        expected.insert("chains/t0rn/keystore/61757261aa".into(), b"its own".to_vec());
        let mut step = 0;
        let killed = commit_restore(ready(to.path(), &bytes, &RestoreOptions::default()).unwrap(), || {
            step += 1;
            anyhow::ensure!(step <= killed_at, "killed");
            Ok(())
        });
        if killed.is_ok() {
            break;
        }
        steps += 1;
        let whole = content(to.path()) == old || content(to.path()) == expected;
        assert!(
            whole || is_restore_swapping(to.path()),
            "step {killed_at}: half, and nobody would know"
        );
        if is_restore_swapping(to.path()) {
            assert!(abandon_restore(to.path()).is_err());
        }
        restore_all(to.path(), &bytes, &RestoreOptions::default()).unwrap();
        assert!(content(to.path()) == expected, "step {killed_at}");
        assert!(!to.path().join(".restore").exists());
    }
    assert!(steps >= 9, "{steps}");
}

#[test]
fn leftovers_of_failed_restore_are_not_swapped_in() {
    let (from, to) = (data(1), tempfile::tempdir().unwrap());
    let bytes = snapshot(from.path(), None);
    ready(
        to.path(),
        &Cut(bytes.clone(), bytes.len() / 2),
        &RestoreOptions::default(),
    )
    .unwrap_err();
    put(
        to.path(),
        ".restore/tree/chains/t0rn/db/full/000099.sst",
        b"of somebody else",
    );
    restore_all(to.path(), &Bytes(bytes), &RestoreOptions::default()).unwrap();
    assert!(!to.path().join("chains/t0rn/db/full/000099.sst").exists());
}

#[test]
fn interrupted_swap_is_finished_by_same_source_only() {
    let (from, to) = (data(1), data(9));
    let bytes = snapshot(from.path(), None);
    let prepared = ready(to.path(), &Bytes(bytes.clone()), &RestoreOptions::default()).unwrap();
    let mut steps = 0;
    let killed = commit_restore(prepared, || {
        steps += 1;
        anyhow::ensure!(steps < 3, "killed");
        Ok(())
    });
    killed.unwrap_err();
    let refused = ready(to.path(), &Cut(bytes.clone(), 0), &RestoreOptions::default()).unwrap_err();
    assert!(refused.to_string().contains("run that one again"), "{refused}");
    restore_all(to.path(), &Bytes(bytes), &RestoreOptions::default()).unwrap();
}
