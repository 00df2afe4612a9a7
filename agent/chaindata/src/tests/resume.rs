use super::*;
use crate::journal::{Journal, RestoreStage, ResumePoint};
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
fn a_restore_goes_on_at_every_entry_and_the_result_is_the_same() {
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
        let mut journal = Journal::read(to.path()).unwrap().unwrap();
        assert_eq!(journal.stage, RestoreStage::Unpacking);
        journal.point = Some(point.clone());
        journal.write(to.path()).unwrap();
        let source = Later(bytes.clone(), point.offset);
        let ready = if point.index == 0 {
            ready(to.path(), &Bytes(bytes.clone()), &RestoreOptions::default())
        } else {
            ready(to.path(), &source, &RestoreOptions::default())
        };
        commit_restore(to.path(), ready.unwrap(), || Ok(())).unwrap();
        assert!(content(to.path()) == expected, "{point:?}");
    }
}

/// As if a restore had been killed after it had noted `point`.
fn begun(root: &Path, bytes: &[u8], point: ResumePoint) {
    let head = read_header(&mut &bytes[..]).unwrap().sha256;
    fs::create_dir_all(root.join(".restore/tree")).unwrap();
    let mut journal = Journal::new("elsewhere", hex::encode(head), false);
    journal.point = Some(point);
    journal.write(root).unwrap();
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
fn another_source_is_not_mixed_in() {
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
fn what_failed_before_there_was_anything_to_lose_is_no_obstacle() {
    let to = tempfile::tempdir().unwrap();
    let (one, other) = (snapshot(data(1).path(), None), snapshot(data(9).path(), None));
    ready(to.path(), &Cut(one.clone(), one.len() / 2), &RestoreOptions::default()).unwrap_err();
    restore_all(to.path(), &Bytes(other.clone()), &RestoreOptions::default()).unwrap();
    let expected = tempfile::tempdir().unwrap();
    restore_all(expected.path(), &Bytes(other), &RestoreOptions::default()).unwrap();
    assert!(content(to.path()) == content(expected.path()));
}

#[test]
fn a_journal_that_cannot_be_read_starts_nothing_and_says_what_to_do() {
    let to = data(1);
    put(to.path(), ".restore/journal.json", b"{\"schema\": 1, \"sta");
    assert!(is_restore_swapping(to.path()));
    let before = content(to.path());
    let words = abandon_restore(to.path()).unwrap_err().to_string();
    assert!(words.contains(".restore/old") && words.contains("as it was"), "{words}");
    assert!(content(to.path()) == before);
}

#[test]
fn killed_at_every_step_of_the_switch_the_next_restore_finishes_and_no_key_is_lost() {
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
        let killed = commit_restore(
            to.path(),
            ready(to.path(), &bytes, &RestoreOptions::default()).unwrap(),
            || {
                step += 1;
                anyhow::ensure!(step <= killed_at, "killed");
                Ok(())
            },
        );
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
fn what_a_failed_attempt_left_is_not_switched_in() {
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
fn an_interrupted_exchange_is_finished_by_its_own_source_alone() {
    let (from, to) = (data(1), data(9));
    let bytes = snapshot(from.path(), None);
    let prepared = ready(to.path(), &Bytes(bytes.clone()), &RestoreOptions::default()).unwrap();
    let mut steps = 0;
    let killed = commit_restore(to.path(), prepared, || {
        steps += 1;
        anyhow::ensure!(steps < 3, "killed");
        Ok(())
    });
    killed.unwrap_err();
    let refused = ready(to.path(), &Cut(bytes.clone(), 0), &RestoreOptions::default()).unwrap_err();
    assert!(refused.to_string().contains("run that one again"), "{refused}");
    restore_all(to.path(), &Bytes(bytes), &RestoreOptions::default()).unwrap();
}
