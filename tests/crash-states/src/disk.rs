//! Content of a disk, and the operations that change it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::hash::{Hash, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// Number of a file or a directory; [`ROOT`] is the recorded directory.
pub(crate) type Inode = usize;
pub(crate) const ROOT: Inode = 0;

type Names = BTreeMap<Vec<u8>, Inode>;

#[derive(Debug, Clone, Hash)]
pub(crate) enum Body {
    Dir(Names),
    File(Vec<u8>),
}

#[derive(Debug, Clone, Hash)]
struct Node {
    body: Body,
    mode: u32,
    owner: (u32, u32),
}

/// A disk: what has no name is not seen.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    nodes: Vec<Node>,
}

/// A name in a directory.
pub(crate) type Name = (Inode, Vec<u8>);

/// The smallest change that is on the disk or is not.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Link {
        name: Name,
        inode: Inode,
    },
    Unlink {
        name: Name,
        inode: Inode,
    },
    Rename {
        from: Name,
        to: Name,
        inode: Inode,
    },
    Exchange {
        names: [Name; 2],
        inodes: [Inode; 2],
    },
    Write {
        inode: Inode,
        offset: usize,
        bytes: Vec<u8>,
    },
    Size {
        inode: Inode,
        size: usize,
    },
    Mode {
        inode: Inode,
        mode: u32,
    },
    Owner {
        inode: Inode,
        owner: (u32, u32),
    },
}

/// How much of a change is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Lost,
    Whole,
    /// Of a write, the size only.
    Zeros,
    /// Of a write, what is before that offset of the file; the file ends there.
    Before(usize),
    /// The same, with zeros behind.
    BeforeZeros(usize),
    /// Of a write, what is behind that offset of the file.
    Behind(usize),
}

impl Change {
    /// The parts that a power cut may leave.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::Whole, Part::Lost];
        if let Self::Write { offset, bytes, .. } = self {
            parts.push(Part::Zeros);
            let end = offset + bytes.len();
            let mut borders = vec![
                (offset / 512 + 1) * 512,
                (end - 1) / 512 * 512,
                (offset + end) / 2 / 4096 * 4096,
            ];
            borders.retain(|border| (offset + 1..end).contains(border));
            borders.sort_unstable();
            borders.dedup();
            for border in borders {
                parts.extend([Part::Before(border), Part::BeforeZeros(border), Part::Behind(border)]);
            }
        }
        parts
    }

    pub(crate) fn describe(&self) -> String {
        let shown = |(dir, name): &Name| format!("{dir}:{}", String::from_utf8_lossy(name));
        match self {
            Self::Link { name, inode } => format!("creation of {} ({inode})", shown(name)),
            Self::Unlink { name, .. } => format!("removal of {}", shown(name)),
            Self::Rename { from, to, .. } => format!("rename of {} to {}", shown(from), shown(to)),
            Self::Exchange { names, .. } => format!("exchange of {} and {}", shown(&names[0]), shown(&names[1])),
            Self::Write { inode, offset, bytes } => format!("{} bytes at {offset} of {inode}", bytes.len()),
            Self::Size { inode, size } => format!("size {size} of {inode}"),
            Self::Mode { inode, mode } => format!("mode {mode:o} of {inode}"),
            Self::Owner { inode, .. } => format!("owner of {inode}"),
        }
    }
}

impl Disk {
    /// Reads a directory that is wholly on the disk.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut disk = Self { nodes: Vec::new() };
        disk.read_entry(root)?;
        Ok(disk)
    }

    fn read_entry(&mut self, path: &Path) -> Result<Inode> {
        let about = fs::symlink_metadata(path)?;
        let inode = self.add(
            Body::File(Vec::new()),
            about.mode() & 0o7777,
            (about.uid(), about.gid()),
        );
        let body = if about.is_dir() {
            let mut names = Names::new();
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                names.insert(entry.file_name().as_bytes().to_vec(), self.read_entry(&entry.path())?);
            }
            Body::Dir(names)
        } else if about.is_file() {
            Body::File(fs::read(path)?)
        } else {
            bail!("{} is neither a file nor a directory", path.display())
        };
        self.nodes[inode].body = body;
        Ok(inode)
    }

    /// Adds something without a name.
    pub(crate) fn add(&mut self, body: Body, mode: u32, owner: (u32, u32)) -> Inode {
        self.nodes.push(Node { body, mode, owner });
        self.nodes.len() - 1
    }

    pub(crate) fn names(&self, dir: Inode) -> Option<&Names> {
        match &self.nodes.get(dir)?.body {
            Body::Dir(names) => Some(names),
            Body::File(_) => None,
        }
    }

    pub(crate) fn size(&self, file: Inode) -> usize {
        match self.nodes.get(file).map(|node| &node.body) {
            Some(Body::File(bytes)) => bytes.len(),
            _ => 0,
        }
    }

    fn names_mut(&mut self, dir: Inode) -> Option<&mut Names> {
        match &mut self.nodes.get_mut(dir)?.body {
            Body::Dir(names) => Some(names),
            Body::File(_) => None,
        }
    }

    fn set(&mut self, (dir, name): &Name, inode: Inode) {
        if let Some(names) = self.names_mut(*dir) {
            names.insert(name.clone(), inode);
        }
    }

    /// Removes a name, if it stands for that.
    fn unset(&mut self, (dir, name): &Name, inode: Inode) {
        if let Some(names) = self.names_mut(*dir)
            && names.get(name) == Some(&inode)
        {
            names.remove(name);
        }
    }

    /// Removes every name of that.
    fn unname(&mut self, inode: Inode) {
        for node in &mut self.nodes {
            if let Body::Dir(names) = &mut node.body {
                names.retain(|_, of| *of != inode);
            }
        }
    }

    /// Applies a change, or that part of it.
    pub(crate) fn apply(&mut self, change: &Change, part: Part) {
        if part == Part::Lost {
            return;
        }
        match change {
            Change::Link { name, inode } => self.set(name, *inode),
            Change::Unlink { name, inode } => self.unset(name, *inode),
            // Wherever it was: an earlier rename of it may be lost, and then it has no second name.
            Change::Rename { to, inode, .. } => {
                self.unname(*inode);
                self.set(to, *inode);
            }
            Change::Exchange { names, inodes } => {
                for (name, inode) in names.iter().zip(inodes.iter().rev()) {
                    self.unname(*inode);
                    self.set(name, *inode);
                }
            }
            Change::Write { inode, offset, bytes } => self.write_part(*inode, *offset, bytes, part),
            Change::Size { inode, size } => self.resize(*inode, *size),
            Change::Mode { inode, mode } => self.nodes[*inode].mode = *mode,
            Change::Owner { inode, owner } => self.nodes[*inode].owner = *owner,
        }
    }

    fn resize(&mut self, inode: Inode, size: usize) {
        if let Body::File(content) = &mut self.nodes[inode].body {
            content.resize(size, 0);
        }
    }

    fn write_part(&mut self, inode: Inode, offset: usize, bytes: &[u8], part: Part) {
        let Body::File(content) = &mut self.nodes[inode].body else {
            return;
        };
        let end = offset + bytes.len();
        let (first, last, size) = match part {
            Part::Lost => return,
            Part::Whole => (offset, end, end),
            Part::Zeros => (end, end, end),
            Part::Before(border) => (offset, border, border),
            Part::BeforeZeros(border) => (offset, border, end),
            Part::Behind(border) => (border, end, end),
        };
        if content.len() < size {
            content.resize(size, 0);
        }
        content[first..last].copy_from_slice(&bytes[first - offset..last - offset]);
    }

    /// Number of what can be seen: equal for the same tree.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        self.hash_entry(ROOT, 0, &mut hasher);
        hasher.finish()
    }

    fn hash_entry(&self, inode: Inode, depth: usize, hasher: &mut std::hash::DefaultHasher) {
        let node = &self.nodes[inode];
        (node.mode, node.owner, depth).hash(hasher);
        match &node.body {
            Body::File(content) => content.hash(hasher),
            Body::Dir(names) => {
                for (name, inner) in names {
                    name.hash(hasher);
                    self.hash_entry(*inner, depth + 1, hasher);
                }
            }
        }
    }

    /// Writes what can be seen into a new directory.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        self.write_entry(ROOT, path)
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    fn write_entry(&self, inode: Inode, path: &Path) -> Result<()> {
        let node = &self.nodes[inode];
        match &node.body {
            Body::File(content) => fs::write(path, content)?,
            Body::Dir(names) => {
                fs::create_dir(path)?;
                for (name, inner) in names {
                    self.write_entry(*inner, &path.join(OsStr::from_bytes(name)))?;
                }
            }
        }
        let about = fs::metadata(path)?;
        if (about.uid(), about.gid()) != node.owner {
            chown(path, Some(node.owner.0), Some(node.owner.1))?;
        }
        Ok(fs::set_permissions(path, fs::Permissions::from_mode(node.mode))?)
    }
}
