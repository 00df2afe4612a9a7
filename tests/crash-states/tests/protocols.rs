//! What the states are good for: each way to replace a file that may lose it is found, and the right way is not.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use agent_crash_states::{Operation, Progress, Steps, operation};
use anyhow::{Result, ensure};

const TEXT: [&str; 2] = ["old", "new"];

fn prepare(root: &Path) -> Result<()> {
    Ok(fs::write(root.join("file"), TEXT[0])?)
}

fn write(path: &Path, synced: bool) -> Result<()> {
    let mut file = File::create(path)?;
    file.write_all(TEXT[1].as_bytes())?;
    if synced {
        file.sync_all()?;
    }
    Ok(())
}

fn verify(root: &Path, progress: Progress) -> Result<()> {
    let found = fs::read_to_string(root.join("file"))?;
    let may_be = &TEXT[progress.acknowledged..=progress.begun];
    ensure!(may_be.contains(&found.as_str()), "{found:?} is none of {may_be:?}");
    Ok(())
}

/// Whether a way to replace a file is refused. Nothing is refused where nothing can be recorded.
fn ensure_found(operation: &Operation, way: impl Fn(&Path) -> Result<()>, words: &str) -> Result<()> {
    let run = |root: &Path, steps: &Steps| steps.step(|| way(root));
    if operation.is_recorded_run() || !operation.is_possible() {
        return operation.check(prepare, run, verify);
    }
    let Err(error) = operation.check(prepare, run, verify) else {
        anyhow::bail!("every state was taken");
    };
    ensure!(format!("{error:#}").contains(words), "{error:#}");
    Ok(())
}

#[test]
fn replacement_with_both_syncs_is_taken() -> Result<()> {
    let run = |root: &Path, steps: &Steps| {
        steps.step(|| {
            write(&root.join("next"), true)?;
            fs::rename(root.join("next"), root.join("file"))?;
            Ok(File::open(root)?.sync_all()?)
        })
    };
    operation!(replacement_with_both_syncs_is_taken).check(prepare, run, verify)
}

#[test]
fn replacement_without_sync_of_content_is_found() -> Result<()> {
    let way = |root: &Path| {
        write(&root.join("next"), false)?;
        fs::rename(root.join("next"), root.join("file"))?;
        Ok(File::open(root)?.sync_all()?)
    };
    ensure_found(
        &operation!(replacement_without_sync_of_content_is_found),
        way,
        r#""" is none of"#,
    )
}

#[test]
fn replacement_without_sync_of_directory_is_found() -> Result<()> {
    let way = |root: &Path| {
        write(&root.join("next"), true)?;
        Ok(fs::rename(root.join("next"), root.join("file"))?)
    };
    ensure_found(
        &operation!(replacement_without_sync_of_directory_is_found),
        way,
        r#""old" is none of ["new"]"#,
    )
}

#[test]
fn replacement_by_removal_and_rename_is_found() -> Result<()> {
    let way = |root: &Path| {
        write(&root.join("next"), true)?;
        fs::remove_file(root.join("file"))?;
        fs::rename(root.join("next"), root.join("file"))?;
        Ok(File::open(root)?.sync_all()?)
    };
    ensure_found(
        &operation!(replacement_by_removal_and_rename_is_found),
        way,
        "No such file",
    )
}

#[test]
fn overwriting_in_place_is_found() -> Result<()> {
    let way = |root: &Path| write(&root.join("file"), true);
    ensure_found(&operation!(overwriting_in_place_is_found), way, r"\0\0\0")
}
