//! What a power cut may leave of a restore, a certificate, the stop marker and a snapshot.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use agent_crash_states::{Operation, Progress, Steps, operation};
use anyhow::{Context as _, Result, ensure};

use super::*;
use crate::certificate::tests::certificate;
use crate::certificate::{CertificateError, read_certificate, remove_certificate, write_certificate};
use crate::snapshot::AtomicFile;
use crate::stop_marker::{clear_stop_marker, has_stop_marker, set_stop_marker};

/// Owner of the data, where the tests may give it away.
const OWNER: u32 = 1000;
const KEY: &str = "chains/t0rn/keystore/61757261aa";

/// Mode, owner and content by place.
type Databases = BTreeMap<PathBuf, (u32, u32, Vec<u8>)>;

/// What differs, for messages.
fn difference(found: &Databases, expected: &Databases) -> String {
    let places = found
        .keys()
        .chain(expected.keys())
        .filter(|place| found.get(*place) != expected.get(*place));
    let shown = |of: &Databases, place| {
        of.get(place)
            .map(|(mode, owner, bytes)| (format!("{mode:o}"), *owner, bytes.len()))
    };
    let places = places.map(|place| {
        format!(
            "{}: {:?} {:?}",
            place.display(),
            shown(found, place),
            shown(expected, place)
        )
    });
    places.collect::<Vec<_>>().join(", ")
}

/// Everything below a directory: kind, mode, owner and content. What a restore keeps for itself is left out.
fn tree(root: &Path) -> Databases {
    fn walk(root: &Path, dir: &Path, found: &mut Databases) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let place = path.strip_prefix(root).unwrap().to_owned();
            if [".restore", ".before-restore", "bake.json"]
                .iter()
                .any(|name| place == Path::new(name))
            {
                continue;
            }
            let about = fs::metadata(&path).unwrap();
            let content = if about.is_dir() {
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            found.insert(place, (about.mode(), about.uid(), content));
            if about.is_dir() {
                walk(root, &path, found);
            }
        }
    }
    let mut found = Databases::new();
    walk(root, root, &mut found);
    found
}

/// The databases of [`tree`].
fn databases(root: &Path) -> Databases {
    let mut found = tree(root);
    found.retain(|place, _| place.components().any(|part| part.as_os_str() == "db"));
    found
}

fn give(root: &Path) {
    if rustix::process::geteuid().is_root() {
        for place in tree(root).keys() {
            chown(root.join(place), Some(OWNER), Some(OWNER)).unwrap();
        }
        chown(root, Some(OWNER), Some(OWNER)).unwrap();
    }
}

/// Present data with a key and a certificate, and a snapshot with one more chain, beside one another.
fn prepare(root: &Path) -> Result<()> {
    let (data, from) = (root.join("data"), tempfile::tempdir()?);
    put(&data, "chains/t0rn/db/full/CURRENT", b"old");
    put(&data, "chains/t0rn/db/full/000001.sst", b"old table");
    put(&data, KEY, b"SECRET");
    fs::set_permissions(data.join("chains/t0rn/keystore"), fs::Permissions::from_mode(0o700))?;
    give(&data);
    write_certificate(&data, &certificate())?;
    put(from.path(), "chains/t0rn/db/full/CURRENT", b"new");
    put(from.path(), "chains/t0rn/db/full/000002.sst", &noise(900, 3));
    put(from.path(), "polkadot/chains/rococo/db/full/CURRENT", b"new");
    Ok(fs::write(root.join("snapshot"), snapshot(from.path(), None))?)
}

fn restore(root: &Path, keep_old: bool) -> Result<()> {
    let source = Bytes(fs::read(root.join("snapshot"))?);
    let options = RestoreOptions {
        keep_old,
        ..RestoreOptions::default()
    };
    restore_all(&root.join("data"), &source, &options)
}

/// The databases before and after.
fn old_and_new() -> Result<(Databases, Databases)> {
    let dir = tempfile::tempdir()?;
    prepare(dir.path())?;
    let old = databases(&dir.path().join("data"));
    restore(dir.path(), false)?;
    let data = dir.path().join("data");
    // As the databases themselves.
    for place in ["polkadot", "polkadot/chains", "polkadot/chains/rococo"] {
        let about = fs::metadata(data.join(place))?;
        ensure!(
            (about.mode() & 0o777, about.uid()) == (0o755, fs::metadata(&data)?.uid()),
            "{place}"
        );
    }
    Ok((old, databases(&data)))
}

/// What holds of the data of a restore that was cut off, before anything goes on.
fn verify_data(root: &Path, progress: Progress, old: &Databases, new: &Databases) -> Result<()> {
    let data = root.join("data");
    ensure!(
        fs::read(data.join(KEY)).ok().as_deref() == Some(b"SECRET"),
        "the key is lost"
    );
    let found = databases(&data);
    let (is_old, is_new) = (found == *old, found == *new);
    ensure!(
        is_old || is_new || is_restore_swapping(&data),
        "half, and an agent would start on it: {}",
        difference(&found, new)
    );
    ensure!(
        read_certificate(&data).is_err() || is_old,
        "the certificate of the old data is there"
    );
    ensure!(
        progress.acknowledged == 0 || (is_new && !data.join(".restore").exists()),
        "it is not there: {}",
        difference(&found, new)
    );
    Ok(())
}

/// The new data is there, in directories that its owner can use, and the key is.
fn verify_restored(root: &Path, new: &Databases) -> Result<()> {
    let data = root.join("data");
    ensure!(databases(&data) == *new, "restored: {:?}", databases(&data));
    ensure!(fs::read(data.join(KEY))? == b"SECRET", "the key is lost");
    for (place, (mode, owner, _)) in tree(&data) {
        let private = place.starts_with("chains/t0rn/keystore");
        ensure!(
            fs::metadata(&data)?.uid() == owner,
            "{} has another owner",
            place.display()
        );
        ensure!(
            private || mode & 0o055 != 0 || mode & 0o100_000 != 0,
            "{} is closed: {mode:o}",
            place.display()
        );
    }
    ensure!(!data.join(".restore").exists(), "the restore left something");
    Ok(())
}

fn check_restore(operation: &Operation, verify: impl Fn(&Path, Progress, &Databases) -> Result<()>) -> Result<()> {
    let (old, new) = old_and_new()?;
    let run = |root: &Path, steps: &Steps| steps.step(|| restore(root, false));
    operation.check(prepare, run, |root, progress| {
        verify_data(root, progress, &old, &new)?;
        verify(root, progress, &new)
    })
}

#[test]
fn restore_after_power_cut_is_whole_and_finished_by_the_next() {
    let operation = operation!(restore_after_power_cut_is_whole_and_finished_by_the_next).limit(80);
    let checked = check_restore(&operation, |root, _, new| {
        restore(root, false).context("the next restore")?;
        verify_restored(root, new)
    });
    checked.unwrap();
}

#[test]
fn restore_after_power_cut_is_given_up_or_cannot_be() {
    let operation = operation!(restore_after_power_cut_is_given_up_or_cannot_be).limit(40);
    let checked = check_restore(&operation, |root, _, new| {
        let data = root.join("data");
        let (before, swapping) = (databases(&data), is_restore_swapping(&data));
        ensure!(
            abandon_restore(&data).is_err() == swapping,
            "given up or not, swapping: {swapping}"
        );
        ensure!(databases(&data) == before, "the data was changed");
        restore(root, false).context("another restore")?;
        verify_restored(root, new)
    });
    checked.unwrap();
}

#[test]
fn restore_that_keeps_old_data_after_power_cut_has_it() {
    let (old, new) = old_and_new().unwrap();
    let operation = operation!(restore_that_keeps_old_data_after_power_cut_has_it).limit(40);
    let run = |root: &Path, steps: &Steps| steps.step(|| restore(root, true));
    let checked = operation.check(prepare, run, |root, progress| {
        verify_data(root, progress, &old, &new)?;
        let data = root.join("data");
        let is_done = data.join(".before-restore").exists() && !data.join(".restore/journal.json").exists();
        if is_done {
            abandon_restore(&data)?;
        } else {
            restore(root, true).context("the next restore")?;
        }
        ensure!(databases(&data.join(".before-restore")) == old, "the old data is lost");
        verify_restored(root, &new)
    });
    checked.unwrap();
}

#[test]
fn certificate_after_power_cut_is_old_or_new() {
    let numbered = |number: usize| {
        let mut certificate = certificate();
        certificate.agent = number.to_string().repeat(2000);
        certificate
    };
    let run = |root: &Path, steps: &Steps| {
        steps.step(|| write_certificate(root, &numbered(1)))?;
        steps.step(|| write_certificate(root, &numbered(2)))?;
        Ok(steps.step(|| remove_certificate(root))?)
    };
    let checked = operation!(certificate_after_power_cut_is_old_or_new).check(
        |_| Ok(()),
        run,
        |root, progress| {
            let may_be = progress.acknowledged..=progress.begun;
            match read_certificate(root) {
                Ok(found) => ensure!(may_be.clone().any(|number| found == numbered(number)), "{found:?}"),
                Err(CertificateError::Missing(_)) => ensure!(may_be.contains(&0) || may_be.contains(&3), "{may_be:?}"),
                Err(error) => return Err(error.into()),
            }
            Ok(write_certificate(root, &numbered(4))?)
        },
    );
    checked.unwrap();
}

#[test]
fn stop_marker_after_power_cut_is_as_acknowledged() {
    let run = |root: &Path, steps: &Steps| {
        let state = root.join("state");
        steps.step(|| set_stop_marker(&state))?;
        steps.step(|| clear_stop_marker(&state));
        steps.step(|| set_stop_marker(&state))?;
        Ok(())
    };
    let checked = operation!(stop_marker_after_power_cut_is_as_acknowledged).check(
        |_| Ok(()),
        run,
        |root, progress| {
            let mut may_be = (progress.acknowledged..=progress.begun).map(|steps| steps % 2 == 1);
            let found = has_stop_marker(&root.join("state"));
            ensure!(may_be.any(|set| set == found), "{found}");
            Ok(())
        },
    );
    checked.unwrap();
}

#[test]
fn snapshot_after_power_cut_is_old_or_new() {
    let text = |number: usize| number.to_string().repeat(6000).into_bytes();
    let write = |root: &Path, number: usize| {
        let mut file = AtomicFile::create(&root.join("chain.tar.zst"))?;
        text(number)
            .chunks(2500)
            .try_for_each(|part| io::Write::write_all(&mut file, part))?;
        file.finish(&[])
    };
    let run = |root: &Path, steps: &Steps| (1..=2).try_for_each(|number| Ok(steps.step(|| write(root, number))?));
    let checked = operation!(snapshot_after_power_cut_is_old_or_new).check(
        |_| Ok(()),
        run,
        |root, progress| {
            let found = fs::read(root.join("chain.tar.zst")).ok();
            let may_be = |number| found == (number > 0).then(|| text(number));
            ensure!((progress.acknowledged..=progress.begun).any(may_be), "a mixture");
            Ok(write(root, 3)?)
        },
    );
    checked.unwrap();
}
