//! Where the configuration goes: a file that is not replaced by accident, or the standard output.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use agent_daemon::recorder;
use agent_files::Dir;
use anyhow::{Context as _, bail};

use super::draft::Draft;
use crate::error::UsageError;
use crate::output::print;

/// Rights of those who are neither owner nor group.
const OTHERS: u32 = 0o007;

pub(super) struct Destination {
    /// `None` is the standard output.
    file: Option<PathBuf>,
    may_replace: bool,
}

impl Destination {
    /// Fails where a configuration is already that may not be replaced. One that sets nothing, as the package brings it, may.
    pub(super) fn new(path: &Path, force: bool) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self {
                file: None,
                may_replace: false,
            });
        }
        let may_replace = force || is_empty(path);
        if !may_replace && fs::symlink_metadata(path).is_ok() {
            let text = format!(
                "{} exists: name another file with --output, or replace it with --force",
                path.display()
            );
            return Err(UsageError::Unusable(text).into());
        }
        Ok(Self {
            file: Some(path.to_owned()),
            may_replace,
        })
    }

    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Writes the text; on a terminal without its secrets, which is said.
    pub(super) fn write(&self, draft: &Draft, text: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        match &self.file {
            Some(path) => {
                replace(path, text, self.may_replace).with_context(|| format!("{} cannot be written", path.display()))
            }
            None if io::stdout().is_terminal() => {
                let shown = shown(draft, text);
                print(out, &shown)?;
                if shown != text {
                    writeln!(
                        io::stderr(),
                        "! secrets are not shown on a terminal: write to a file with --output FILE"
                    )?;
                }
                Ok(())
            }
            None => print(out, text),
        }
    }
}

/// Puts the whole text in place, or nothing. It may hold secrets: it is for its owner alone, and for the group of a
/// directory that is closed to all others.
fn replace(path: &Path, text: &str, may_replace: bool) -> anyhow::Result<()> {
    let name = path.file_name().context("it is no name of a file")?;
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    let dir = Dir::open(above)?;
    let mut partial = OsString::from(".");
    partial.push(name);
    partial.push(".new");
    dir.remove_file(&partial)?;
    let written = write_partial(&dir, &partial, text).and_then(|()| {
        if may_replace {
            return Ok(dir.replace(&partial, name)?);
        }
        match dir.rename(&partial, &dir, name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!("it exists by now"),
            renamed => Ok(renamed?),
        }
    });
    if written.is_err() {
        let _ = dir.remove_file(&partial);
    }
    written?;
    Ok(dir.sync()?)
}

fn write_partial(dir: &Dir, partial: &OsStr, text: &str) -> anyhow::Result<()> {
    let mut file = dir.create(partial, 0o600)?;
    file.write_all(text.as_bytes())?;
    let about = dir.metadata()?;
    if about.mode() & OTHERS == 0 && fchown(&file, None, Some(about.gid())).is_ok() {
        file.set_permissions(fs::Permissions::from_mode(0o640))?;
    }
    Ok(file.sync_all()?)
}

/// Whether a configuration sets no key.
fn is_empty(path: &Path) -> bool {
    let is_nothing = |line: &str| line.is_empty() || line.starts_with(['#', '[']);
    fs::read_to_string(path).is_ok_and(|text| text.lines().all(|line| is_nothing(line.trim())))
}

/// The text as a terminal may show it.
pub(super) fn shown(draft: &Draft, text: &str) -> String {
    recorder::redacted(text, &recorder::secrets(&draft.command, &draft.env))
}
