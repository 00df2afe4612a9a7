//! Each kind of call, as changes.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

use super::{Handle, Place, Reader, descriptor};
use crate::disk::{Body, Change, Inode, Name};
use crate::strace::{Call, number};

impl Reader<'_> {
    pub(super) fn open(&mut self, call: &Call, at: &str, path: usize, flags: &str, mode: Option<&str>) -> Result<()> {
        let has = |flag: &str| flags.split('|').any(|part| part.trim() == flag);
        let place = match self.resolve(at, &call.bytes(path)?)? {
            Err(outside) => Place::Outside(outside),
            Ok(_) if has("O_TMPFILE") => bail!("not modelled"),
            Ok(name) => Place::Inside(if let Some(inode) = self.look_up(&name) {
                if has("O_TRUNC") && self.live.size(inode) > 0 {
                    self.make(Change::Size { inode, size: 0 });
                }
                inode
            } else {
                ensure!(has("O_CREAT"), "it is not there");
                self.add(name, Body::File(Vec::new()), created_mode(mode)?)
            }),
        };
        let appends = has("O_APPEND");
        self.handles.insert(
            call.result,
            Handle {
                place,
                offset: 0,
                appends,
            },
        );
        Ok(())
    }

    pub(super) fn add(&mut self, name: Name, body: Body, mode: u32) -> Inode {
        self.recording.before.add(body.clone(), mode, owner());
        let inode = self.live.add(body, mode, owner());
        self.make(Change::Link { name, inode });
        inode
    }

    pub(super) fn duplicate(&mut self, call: &Call) -> Result<()> {
        if let Some(handle) = self.handles.get(&descriptor(call.arg(0)?)?).cloned() {
            self.handles.insert(call.result, handle);
        }
        Ok(())
    }

    pub(super) fn seek(&mut self, call: &Call) -> Result<()> {
        let (fd, result) = (descriptor(call.arg(0)?)?, usize::try_from(call.result)?);
        if let Some(handle) = self.handles.get_mut(&fd) {
            handle.offset = if call.name == "lseek" {
                result
            } else {
                handle.offset + result
            };
        }
        Ok(())
    }

    pub(super) fn write(&mut self, call: &Call) -> Result<()> {
        let (Some(inode), fd) = (self.inside(call), descriptor(call.arg(0)?)?) else {
            return Ok(());
        };
        let mut bytes = call.bytes(1)?;
        bytes.truncate(usize::try_from(call.result)?);
        let handle = self.handles.get_mut(&fd).context("no descriptor")?;
        let offset = if call.name == "pwrite64" {
            usize::try_from(call.number(3)?)?
        } else {
            let offset = if handle.appends {
                self.live.size(inode)
            } else {
                handle.offset
            };
            handle.offset = offset + bytes.len();
            offset
        };
        if !bytes.is_empty() {
            self.make(Change::Write { inode, offset, bytes });
        }
        Ok(())
    }

    pub(super) fn resize(&mut self, call: &Call, size: u64, grows_only: bool) -> Result<()> {
        let (Some(inode), size) = (self.inside(call), usize::try_from(size)?) else {
            return Ok(());
        };
        let present = self.live.size(inode);
        if size > present || (size < present && !grows_only) {
            self.make(Change::Size { inode, size });
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, call: &Call, names: [(&str, usize); 2], flags: &str) -> Result<()> {
        let mut found = Vec::new();
        for (at, path) in names {
            found.push(self.resolve(at, &call.bytes(path)?)?);
        }
        let [Ok(from), Ok(to)] = found.as_slice() else {
            ensure!(
                found.iter().all(Result::is_err),
                "it leads out of the recorded directory"
            );
            return Ok(());
        };
        let inode = self.look_up(from).context("it is not there")?;
        let change = if flags.contains("RENAME_EXCHANGE") {
            let other = self.look_up(to).context("it is not there")?;
            let (names, inodes) = ([from.clone(), to.clone()], [inode, other]);
            Change::Exchange { names, inodes }
        } else {
            let (from, to) = (from.clone(), to.clone());
            Change::Rename { from, to, inode }
        };
        self.make(change);
        Ok(())
    }

    pub(super) fn unlink(&mut self, call: &Call, at: &str, path: usize) -> Result<()> {
        if let Ok(name) = self.resolve(at, &call.bytes(path)?)? {
            let inode = self.look_up(&name).context("it is not there")?;
            self.make(Change::Unlink { name, inode });
        }
        Ok(())
    }

    pub(super) fn make_dir(&mut self, call: &Call, at: &str, path: usize) -> Result<()> {
        if let Ok(name) = self.resolve(at, &call.bytes(path)?)? {
            let mode = created_mode(call.args.last().map(String::as_str))?;
            self.add(name, Body::Dir(BTreeMap::new()), mode);
        }
        Ok(())
    }

    pub(super) fn attribute(&mut self, call: &Call, inode: Option<Inode>) -> Result<()> {
        let Some(inode) = inode else { return Ok(()) };
        let change = if call.name.contains("chmod") {
            let mode = u32::try_from(call.number(1)?)?;
            Change::Mode { inode, mode }
        } else {
            let owner = (u32::try_from(call.number(1)?)?, u32::try_from(call.number(2)?)?);
            Change::Owner { inode, owner }
        };
        self.make(change);
        Ok(())
    }
}
/// Of what the run makes.
fn owner() -> (u32, u32) {
    let about = std::fs::metadata("/proc/self");
    about.map_or((0, 0), |about| {
        use std::os::unix::fs::MetadataExt as _;
        (about.uid(), about.gid())
    })
}

/// The mode of what is created, with the usual umask.
fn created_mode(mode: Option<&str>) -> Result<u32> {
    Ok(u32::try_from(number(mode.context("no mode")?)?)? & !0o022)
}
