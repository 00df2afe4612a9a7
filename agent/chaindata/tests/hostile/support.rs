//! The data of an unprivileged user, and what root does with it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

use agent_chaindata::compatibility::read_chain_facts;
use agent_chaindata::observer::Observer;
use agent_chaindata::restore::{PreparedRestore, RestoreOptions, prepare_restore};
use agent_chaindata::snapshot::{Consistency, CreateOptions, SnapshotSource, create_snapshot};

use crate::canary::{Canary, SECRET};

/// Long enough that its copy takes a while.
static LOG: [u8; 300_000] = [3; 300_000];
/// The collator's user and group.
pub(crate) const USER: u32 = 4711;

/// Ends a test where this process is not root: nothing can be taken from it.
macro_rules! root_or_skip {
    () => {
        if !rustix::process::geteuid().is_root() {
            crate::support::record_skip();
            return;
        }
    };
}
pub(crate) use root_or_skip;

#[expect(clippy::print_stdout, reason = "the line is the result of the test")]
pub(crate) fn record_skip() {
    use io::Write as _;
    let name = std::env::var("NEXTEST_TEST_NAME").ok();
    let thread = std::thread::current();
    let name = name.as_deref().or(thread.name()).unwrap_or("a test");
    let line = format!("SKIPPED: {name}: only root can be led by the owner of the data");
    println!("{line}");
    if let Some(file) = std::env::var_os("T0RN_SKIP_FILE") {
        let mut file = fs::File::options().create(true).append(true).open(file).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// A host: the data of an unprivileged user, and the canary beside it, on one file system.
pub(crate) struct Host {
    dir: tempfile::TempDir,
    pub(crate) canary: Canary,
}

impl Host {
    pub(crate) fn new() -> Self {
        // In memory where there is such a place: a restore syncs the whole file system.
        let dir = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let canary = Canary::plant(&dir.path().join("canary"));
        let host = Self { dir, canary };
        host.reset();
        host
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn canary_path(&self, place: &str) -> PathBuf {
        self.dir.path().join("canary").join(place)
    }

    /// Begins the data anew.
    pub(crate) fn reset(&self) {
        let (data, aside) = (self.data(), self.dir.path().join("aside"));
        if data.exists() {
            fs::rename(&data, &aside).unwrap();
            fs::remove_dir_all(&aside).unwrap();
        }
        let draft = self.dir.path().join("draft");
        for (place, content) in [
            ("chains/t0rn/db/full/CURRENT", &b"MANIFEST-000005\n"[..]),
            ("chains/t0rn/db/full/MANIFEST-000005", b"tables"),
            ("chains/t0rn/db/full/db_version", b"4"),
            ("chains/t0rn/db/full/000001.sst", &[1; 9000]),
            ("chains/t0rn/db/full/000999.log", b"log"),
            ("polkadot/chains/rococo/db/full/000001.sst", &[2; 9000]),
            ("chains/t0rn/db/full/000998.log", &LOG),
            ("chains/t0rn/keystore/61757261aa", b"its own"),
            ("chains/t0rn/network/secret_ed25519", b"its own"),
        ] {
            let path = draft.join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        give_away(&draft);
        fs::rename(&draft, &data).unwrap();
    }

    /// Writes as the owner of the data would.
    pub(crate) fn plant(&self, place: &str, content: &[u8]) {
        let path = self.data().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        give_away(&self.data());
    }

    /// Makes a link as the owner of the data would.
    pub(crate) fn link(&self, target: &Path, place: &str) {
        let path = self.data().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
        give_away(&self.data());
    }
}

/// Gives a tree to the user, without following links.
fn give_away(path: &Path) {
    lchown(path, Some(USER), Some(USER)).unwrap();
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}

/// Calls a function at each begin of a task, which is where files are held, or unpacked next.
pub(crate) struct AtBegin<F>(pub(crate) F);

impl<F: FnMut()> Observer for AtBegin<F> {
    fn begin(&mut self, _: &'static str, _: Option<u64>) {
        (self.0)();
    }
    fn advance(&mut self, _: u64) {}
    fn end(&mut self) {}
    fn note(&mut self, text: &str) {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

/// Creates a snapshot, and fails when anything of the canary is in it.
pub(crate) fn create(data: &Path, consistency: Consistency, begin: impl FnMut()) -> anyhow::Result<Vec<u8>> {
    let (nodes, mut to) = (&BTreeMap::new(), Vec::new());
    let options = CreateOptions {
        consistency,
        nodes,
        signer: None,
    };
    let created = create_snapshot(data, &options, &mut to, &mut AtBegin(begin));
    // The frames are whole whatever ended the snapshot.
    let mut tar = Vec::new();
    let _ = zstd::stream::read::Decoder::new(&to[..]).unwrap().read_to_end(&mut tar);
    assert!(
        memchr::memmem::find(&tar, SECRET).is_none(),
        "the canary is in the snapshot"
    );
    created.map(|_| to)
}

/// Bytes that are read from memory.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl SnapshotSource for Bytes {
    fn name(&self) -> String {
        "a snapshot".to_owned()
    }

    fn open(&self, at: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.0[usize::try_from(at).unwrap()..].to_vec())))
    }
}

pub(crate) fn prepare(data: &Path, source: &Bytes, begin: impl FnMut()) -> anyhow::Result<PreparedRestore> {
    let present = read_chain_facts(data, &BTreeMap::new())?;
    prepare_restore(data, source, &RestoreOptions::default(), &present, &mut AtBegin(begin))
}
