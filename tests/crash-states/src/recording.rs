//! System calls of a run, as changes of a disk and the moments at which they are durable.

mod calls;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::disk::{Change, Disk, Inode, Name, Part, ROOT};
use crate::strace::Call;
use crate::{ACKNOWLEDGED, BEGUN, Progress};

/// A change, and when it is durable.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) change: Change,
    /// Moment after which it may be on the disk.
    pub(crate) made: usize,
    /// Moment after which it is.
    pub(crate) durable: Option<usize>,
}

/// A run: moments are counted from 1 on.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) before: Disk,
    pub(crate) changes: Vec<Recorded>,
    /// Progress at each moment, and what the call there was.
    pub(crate) moments: Vec<(Progress, String)>,
}

/// What a name or a descriptor stands for.
#[derive(Debug, Clone)]
enum Place {
    Inside(Inode),
    Outside(PathBuf),
}

#[derive(Debug, Clone)]
struct Handle {
    place: Place,
    offset: usize,
    appends: bool,
}

struct Reader<'a> {
    root: &'a Path,
    /// The disk as the run sees it.
    live: Disk,
    handles: HashMap<i64, Handle>,
    recording: Recording,
}

impl Recording {
    /// Reads the calls of a run in `root`, which was `before`.
    pub(crate) fn read(calls: &[Call], root: &Path, before: Disk) -> Result<Self> {
        let moments = vec![(Progress::default(), "the beginning".to_owned())];
        let (live, changes) = (before.clone(), Vec::new());
        let recording = Self {
            before,
            changes,
            moments,
        };
        let handles = HashMap::new();
        let mut reader = Reader {
            root,
            live,
            handles,
            recording,
        };
        for call in calls {
            reader.call(call).with_context(|| {
                format!(
                    "{}({})",
                    call.name,
                    call.args.join(", ").chars().take(300).collect::<String>()
                )
            })?;
        }
        Ok(reader.recording)
    }

    pub(crate) fn has_steps(&self) -> bool {
        self.moments
            .last()
            .is_some_and(|(progress, _)| progress.acknowledged > 0)
    }
}

impl Reader<'_> {
    fn call(&mut self, call: &Call) -> Result<()> {
        match call.name.as_str() {
            "statx" => self.mark(&call.bytes(1)?),
            "open" => self.open(call, "AT_FDCWD", 0, call.arg(1)?, call.arg(2).ok()),
            "creat" => self.open(call, "AT_FDCWD", 0, "O_WRONLY|O_CREAT|O_TRUNC", call.arg(1).ok()),
            "openat" => self.open(call, call.arg(0)?, 1, call.arg(2)?, call.arg(3).ok()),
            "openat2" => {
                let field = |name: &str| {
                    let how = call.arg(2).unwrap_or_default();
                    how.split(name).nth(1).and_then(|rest| rest.split([',', '}']).next())
                };
                let flags = field("flags=").context("no flags")?;
                self.open(call, call.arg(0)?, 1, flags, field("mode="))
            }
            "close" => {
                self.handles.remove(&descriptor(call.arg(0)?)?);
                Ok(())
            }
            "dup" | "dup2" | "dup3" => self.duplicate(call),
            "fcntl" if call.arg(1)?.starts_with("F_DUPFD") => self.duplicate(call),
            "read" | "readv" | "lseek" => self.seek(call),
            "write" | "writev" | "pwrite64" => self.write(call),
            "ftruncate" => self.resize(call, call.number(1)?, false),
            "fallocate" => {
                ensure!(self.inside(call).is_none() || call.arg(1)? == "0", "not modelled");
                self.resize(call, call.number(2)? + call.number(3)?, true)
            }
            "rename" => self.rename(call, [("AT_FDCWD", 0), ("AT_FDCWD", 1)], ""),
            "renameat" => self.rename(call, [(call.arg(0)?, 1), (call.arg(2)?, 3)], ""),
            "renameat2" => self.rename(call, [(call.arg(0)?, 1), (call.arg(2)?, 3)], call.arg(4)?),
            "unlink" | "rmdir" => self.unlink(call, "AT_FDCWD", 0),
            "unlinkat" => self.unlink(call, call.arg(0)?, 1),
            "mkdir" => self.make_dir(call, "AT_FDCWD", 0),
            "mkdirat" => self.make_dir(call, call.arg(0)?, 1),
            "fsync" | "fdatasync" => {
                self.sync(call);
                Ok(())
            }
            "syncfs" | "sync" => {
                if call.name == "sync" || self.inside(call).is_some() {
                    self.sync_where(call, |_| true);
                }
                Ok(())
            }
            "fchmod" | "fchown" => self.attribute(call, self.inside(call)),
            "chmod" | "chown" | "lchown" => {
                let found = self.find("AT_FDCWD", &call.bytes(0)?)?;
                self.attribute(call, found)
            }
            "chdir" | "fchdir" | "fcntl" | "ioctl" => Ok(()),
            _ => self.refuse(call),
        }
    }

    /// Refuses a call that is not modelled, where it is about a recorded descriptor or path.
    fn refuse(&self, call: &Call) -> Result<()> {
        for (index, arg) in call.args.iter().enumerate() {
            let inside = match descriptor(arg) {
                Ok(fd) => matches!(
                    self.handles.get(&fd),
                    Some(Handle {
                        place: Place::Inside(_),
                        ..
                    })
                ),
                Err(_) => {
                    arg.starts_with('"') && Path::new(OsStr::from_bytes(&call.bytes(index)?)).starts_with(self.root)
                }
            };
            ensure!(!inside, "not modelled");
        }
        Ok(())
    }

    fn mark(&mut self, path: &[u8]) -> Result<()> {
        let (mut progress, _) = self.recording.moments.last().cloned().context("no moment")?;
        if path == BEGUN.as_bytes() {
            progress.begun += 1;
        } else if path == ACKNOWLEDGED.as_bytes() {
            progress.acknowledged += 1;
        } else {
            return Ok(());
        }
        self.recording.moments.push((progress, "a mark".to_owned()));
        Ok(())
    }

    fn moment(&mut self, what: String) -> usize {
        let progress = self
            .recording
            .moments
            .last()
            .map_or_else(Progress::default, |(progress, _)| *progress);
        self.recording.moments.push((progress, what));
        self.recording.moments.len() - 1
    }

    fn make(&mut self, change: Change) {
        let made = self.moment(change.describe());
        self.live.apply(&change, Part::Whole);
        let durable = None;
        self.recording.changes.push(Recorded { change, made, durable });
    }

    fn sync_where(&mut self, call: &Call, is_meant: impl Fn(&Change) -> bool) {
        let now = self.moment(call.name.clone());
        for recorded in &mut self.recording.changes {
            if recorded.durable.is_none() && is_meant(&recorded.change) {
                recorded.durable = Some(now);
            }
        }
    }

    fn sync(&mut self, call: &Call) {
        let Some(synced) = self.inside(call) else {
            return;
        };
        let attributes = call.name == "fsync";
        self.sync_where(call, |change| match change {
            Change::Write { inode, .. } | Change::Size { inode, .. } => *inode == synced,
            Change::Mode { inode, .. } | Change::Owner { inode, .. } => attributes && *inode == synced,
            Change::Link { name, .. } | Change::Unlink { name, .. } => name.0 == synced,
            Change::Rename { to, .. } => to.0 == synced,
            Change::Exchange { names, .. } => names.iter().all(|name| name.0 == synced),
        });
    }

    /// The recorded thing that the first argument is a descriptor of.
    fn inside(&self, call: &Call) -> Option<Inode> {
        let fd = call.arg(0).and_then(descriptor).ok()?;
        match self.handles.get(&fd)?.place {
            Place::Inside(inode) => Some(inode),
            Place::Outside(_) => None,
        }
    }

    /// The directory that a path is in, with its last name; the last is empty for the directory itself.
    fn resolve(&self, at: &str, path: &[u8]) -> Result<Result<Name, PathBuf>> {
        let path = Path::new(OsStr::from_bytes(path));
        let base = match (path.is_absolute(), at) {
            (true, _) => Place::Outside("/".into()),
            (false, "AT_FDCWD") => Place::Outside("/the working directory".into()),
            (false, fd) => match self.handles.get(&descriptor(fd)?) {
                Some(handle) => handle.place.clone(),
                None => Place::Outside("/unknown".into()),
            },
        };
        let (mut dir, rest) = match base {
            Place::Inside(inode) => (inode, path.to_owned()),
            Place::Outside(base) => {
                let whole: PathBuf = base.join(path).components().collect();
                match whole.strip_prefix(self.root) {
                    Ok(rest) => (ROOT, rest.to_owned()),
                    Err(_) => return Ok(Err(whole)),
                }
            }
        };
        let mut names: Vec<&OsStr> = Vec::new();
        for part in rest.components() {
            match part {
                Component::Normal(name) => names.push(name),
                Component::CurDir => {}
                _ => bail!("{} leads elsewhere", rest.display()),
            }
        }
        let last = names.pop().unwrap_or_default().as_bytes().to_vec();
        for name in names {
            let inner = self.live.names(dir).and_then(|names| names.get(name.as_bytes()));
            dir = *inner.with_context(|| format!("{} is not there", name.display()))?;
        }
        Ok(Ok((dir, last)))
    }

    fn look_up(&self, name: &Name) -> Option<Inode> {
        if name.1.is_empty() {
            return Some(name.0);
        }
        self.live.names(name.0)?.get(&name.1).copied()
    }

    fn find(&self, at: &str, path: &[u8]) -> Result<Option<Inode>> {
        Ok(self.resolve(at, path)?.ok().and_then(|name| self.look_up(&name)))
    }
}

fn descriptor(arg: &str) -> Result<i64> {
    arg.parse().with_context(|| format!("{arg} is no descriptor"))
}
