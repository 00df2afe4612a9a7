//! What a power cut may leave of the daemon's files is the old or the new, as its own readers see it.
#![expect(clippy::disallowed_methods, reason = "a test may wait for a disk")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use agent_core::event::{Event, Time};
use agent_core::trace::{Record, parse_line};
use agent_crash_states::{Progress, Steps, operation};
use agent_daemon::identity::keystore::{import_keystore, import_node_key};
use agent_daemon::identity::lease::{self, Lease, LeaseFile};
use agent_daemon::recorder::incident::{self, IncidentBundle};
use agent_daemon::recorder::{Recorder, RecorderLimits};
use agent_daemon::state::{self, Load, LoadedState};
use agent_daemon::trace_reader::{NextLine, TraceReader};
use anyhow::{Context as _, Result, ensure};

/// A state of several sectors and blocks, each of which says which it is.
fn numbered(number: usize) -> Vec<usize> {
    vec![number; 3000 + 1000 * number]
}

fn save(dir: &Path, number: usize) -> Result<()> {
    Ok(state::save(dir, Time(number as u64), &numbered(number))?)
}

fn load(dir: &Path) -> Result<Option<LoadedState<Vec<usize>>>> {
    Ok(match state::load(dir)? {
        Load::State(state) => Some(state),
        Load::Nothing | Load::SetAside(_) => None,
    })
}

fn verify_state(dir: &Path, progress: Progress) -> Result<()> {
    let loaded = load(dir)?;
    let found = loaded
        .as_ref()
        .and_then(|state| state.value.first().copied())
        .unwrap_or(0);
    ensure!(
        (progress.acknowledged..=progress.begun).contains(&found),
        "state {found}"
    );
    if let Some(loaded) = loaded {
        ensure!(
            loaded.value == numbered(found) && loaded.clock == Time(found as u64),
            "a mixture"
        );
    }
    let damaged = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().contains("damaged"));
    ensure!(!damaged, "it was set aside as damaged");
    // The next agent goes on.
    save(dir, 7)?;
    ensure!(
        load(dir)?.is_some_and(|state| state.value[0] == 7),
        "it cannot be saved any more"
    );
    Ok(())
}

#[test]
fn state_after_power_cut_is_old_or_new() -> Result<()> {
    let run = |root: &Path, steps: &Steps| {
        let dir = root.join("deep/state");
        (1..=3).try_for_each(|number| steps.step(|| save(&dir, number)))
    };
    let verify = |root: &Path, progress| verify_state(&root.join("deep/state"), progress);
    operation!(state_after_power_cut_is_old_or_new).check(|_| Ok(()), run, verify)
}

/// Fills the file system of a run.
fn fill(root: &Path) -> Result<()> {
    let mut file = fs::File::create(root.with_file_name("filler"))?;
    while file.write_all(&[0; 4096]).is_ok() {}
    Ok(())
}

#[test]
fn state_on_full_disk_after_power_cut_is_old_or_new() -> Result<()> {
    let run = |root: &Path, steps: &Steps| {
        steps.step(|| save(root, 1))?;
        fill(root)?;
        (2..=4).try_for_each(|number| steps.step(|| save(root, number)))
    };
    let operation = operation!(state_on_full_disk_after_power_cut_is_old_or_new).on_disk_of("256k");
    operation.check(|_| Ok(()), run, verify_state)
}

fn numbered_lease(number: usize) -> Result<Lease> {
    Ok(Lease {
        boot_id: format!("boot {number}"),
        holder: "i".repeat(3 * number),
        pid: u32::try_from(number)?,
        at: "2026-01-01T00:00:00Z".parse()?,
    })
}

/// The lease is one of those that may be there; nothing where `absent` steps may have left nothing.
fn verify_lease(mount: &Path, progress: Progress) -> Result<()> {
    let found = match lease::read(mount) {
        None => 0,
        Some(LeaseFile::Unreadable(text)) => anyhow::bail!("unreadable: {text:?}"),
        Some(LeaseFile::Lease(lease)) => {
            let number = usize::try_from(lease.pid)?;
            ensure!(lease == numbered_lease(number)?, "a mixture: {lease:?}");
            number
        }
    };
    ensure!(
        (progress.acknowledged..=progress.begun).contains(&found),
        "lease {found}"
    );
    numbered_lease(9)?.write(mount)?;
    ensure!(
        lease::read(mount) == Some(LeaseFile::Lease(numbered_lease(9)?)),
        "it cannot be taken any more"
    );
    Ok(())
}

#[test]
fn lease_after_power_cut_is_old_or_new() -> Result<()> {
    let run = |mount: &Path, steps: &Steps| {
        (1..=3).try_for_each(|number| steps.step(|| Ok(numbered_lease(number)?.write(mount)?)))
    };
    operation!(lease_after_power_cut_is_old_or_new).check(|_| Ok(()), run, verify_lease)
}

#[test]
fn lease_written_in_place_after_power_cut_is_old_or_new() -> Result<()> {
    let run = |mount: &Path, steps: &Steps| {
        steps.step(|| numbered_lease(1)?.write(mount).context("the first"))?;
        fill(mount)?;
        // Longer, and shorter again.
        steps.step(|| numbered_lease(2)?.write(mount).context("the second"))?;
        steps.step(|| numbered_lease(3)?.write(mount).context("the third"))
    };
    let operation = operation!(lease_written_in_place_after_power_cut_is_old_or_new).on_disk_of("64k");
    operation.check(|_| Ok(()), run, verify_lease)
}

#[test]
fn released_lease_after_power_cut_stays_released() -> Result<()> {
    let prepare = |mount: &Path| Ok(numbered_lease(1)?.write(mount)?);
    let run = |mount: &Path, steps: &Steps| steps.step(|| Ok(lease::remove(mount)?));
    operation!(released_lease_after_power_cut_stays_released).check(prepare, run, |mount, progress| {
        let found = lease::read(mount);
        let was = Some(LeaseFile::Lease(numbered_lease(1)?));
        ensure!(
            found.is_none() || (progress.acknowledged == 0 && found == was),
            "{found:?}"
        );
        Ok(())
    })
}

const KEY: &str = "6175726101020304050607080910111213141516171819202122232425262728293031aa";

#[test]
fn imported_keys_after_power_cut_are_whole_or_absent() -> Result<()> {
    let run = |root: &Path, steps: &Steps| {
        let (from, mount) = (root.join("from"), root.join("mount"));
        steps.step(|| import_keystore(&mount, &from.join("keystore"), None).map(drop))?;
        steps.step(|| import_node_key(&mount, &from.join("node"), None))
    };
    let prepare = |root: &Path| {
        for dir in ["from/keystore", "mount"] {
            fs::create_dir_all(root.join(dir))?;
        }
        fs::write(
            root.join("from/keystore").join(KEY),
            "\"bottom drive obey lake curtain smoke\"",
        )?;
        Ok(fs::write(root.join("from/node"), "11".repeat(32))?)
    };
    operation!(imported_keys_after_power_cut_are_whole_or_absent).check(prepare, run, |root, progress| {
        let (from, mount) = (root.join("from"), root.join("mount"));
        let pairs = [
            (mount.join("keystore").join(KEY), from.join("keystore").join(KEY)),
            (mount.join("node-key"), from.join("node")),
        ];
        for (number, (key, source)) in pairs.iter().enumerate() {
            match fs::read(key) {
                Ok(text) => ensure!(text == fs::read(source)?, "{} is damaged", key.display()),
                Err(_) => ensure!(progress.acknowledged <= number, "{} is lost", key.display()),
            }
        }
        // The next import finishes.
        import_keystore(&mount, &from.join("keystore"), None)?;
        import_node_key(&mount, &from.join("node"), None)
    })
}

/// Two sectors of evidence in each of several files.
fn bundle(number: usize) -> IncidentBundle {
    IncidentBundle {
        id: format!("20260101T00000{number}Z-frozen"),
        cause: "frozen".to_owned(),
        action: "restart".to_owned(),
        evidence: vec![format!("evidence {number} ").repeat(60)],
        log: vec![format!("line {number}"); 100],
        parachain: Some(format!("best {number}\n").repeat(100).into_bytes()),
        ..IncidentBundle::default()
    }
}

#[test]
fn incident_after_power_cut_is_whole_or_absent() -> Result<()> {
    let run = |root: &Path, steps: &Steps| {
        let dir = root.join("incidents");
        for number in 1..=2 {
            steps.step(|| incident::write(&dir, &bundle(number)))?;
        }
        steps.step(|| Ok(incident::set_helped(&dir, &bundle(1).id, true)?))
    };
    let expected = tempfile::tempdir()?;
    for number in 1..=2 {
        incident::write(expected.path(), &bundle(number))?;
    }
    operation!(incident_after_power_cut_is_whole_or_absent)
        .limit(256)
        .check(
            |_| Ok(()),
            run,
            |root, progress| {
                let dir = root.join("incidents");
                let listed: Vec<_> = incident::list(&dir)?.into_iter().flatten().collect();
                for number in 1..=2_usize {
                    let id = bundle(number).id;
                    let Some(found) = listed.iter().find(|incident| incident.id == id) else {
                        ensure!(progress.acknowledged < number, "incident {number} is lost");
                        ensure!(!dir.join(&id).exists(), "incident {number} cannot be read");
                        continue;
                    };
                    for entry in fs::read_dir(expected.path().join(&id))? {
                        let entry = entry?;
                        let (name, whole) = (entry.file_name(), fs::read(entry.path())?);
                        let same = fs::read(dir.join(&id).join(&name)).is_ok_and(|text| text == whole);
                        ensure!(same || name == "incident.json", "{} is damaged", name.display());
                    }
                    ensure!(
                        number != 1 || progress.acknowledged < 3 || found.helped == Some(true),
                        "it is not noted that it helped"
                    );
                }
                Ok(incident::write(&dir, &bundle(3))?)
            },
        )
}

/// Records gaps, each with its number as its time and on the disk at its end.
fn record(dir: &Path, file: u64, numbers: std::ops::RangeInclusive<u64>, steps: Option<&Steps>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let limits = RecorderLimits {
        file,
        ..RecorderLimits::default()
    };
    let recorder = runtime.block_on(async { Recorder::open(dir, limits) });
    for number in numbers {
        let write = || {
            recorder.event(Time(number), &Event::Gap);
            let flushed = runtime.block_on(recorder.flush(Duration::from_secs(20)));
            ensure!(flushed, "it was not written");
            Ok(())
        };
        match steps {
            Some(steps) => steps.step(write)?,
            None => write()?,
        }
    }
    Ok(())
}

/// Times of the lines of a recording, which are gaps; lines that are none.
fn times(dir: &Path) -> Result<(Vec<u64>, usize)> {
    let (mut times, mut damaged) = (Vec::new(), 0);
    let Ok(mut reader) = TraceReader::open(dir) else {
        return Ok((times, damaged));
    };
    loop {
        match reader.next_line() {
            NextLine::End => return Ok((times, damaged)),
            NextLine::Unreadable(_) => damaged += 1,
            NextLine::Line(line) => match parse_line(line) {
                Ok((time, Record::Event(Event::Gap))) => times.push(time.0),
                Ok(_) => {}
                Err(_) => damaged += 1,
            },
        }
    }
}

#[test]
fn flight_after_power_cut_has_all_synced_lines_once() -> Result<()> {
    let run = |root: &Path, steps: &Steps| record(&root.join("flight"), 100, 1..=12, Some(steps));
    operation!(flight_after_power_cut_has_all_synced_lines_once)
        .limit(256)
        .check(
            |_| Ok(()),
            run,
            |root, progress| {
                let dir = root.join("flight");
                let (found, damaged) = times(&dir)?;
                let least: Vec<u64> = (1..=progress.acknowledged as u64).collect();
                ensure!(found.starts_with(&least), "{found:?} of {progress:?}");
                ensure!(
                    found.len() <= progress.begun && found.is_sorted_by(|a, b| a < b),
                    "{found:?} of {progress:?}"
                );
                // One line, or what was being written, may be torn until the next agent.
                ensure!(damaged <= 1, "{damaged} lines are damaged");
                record(&dir, 1 << 20, 99..=99, None)?;
                let (found, damaged) = times(&dir)?;
                ensure!(
                    damaged == 0 && found.starts_with(&least) && found.ends_with(&[99]),
                    "gone on with: {damaged} damaged, {found:?}"
                );
                Ok(())
            },
        )
}
