//! What root runs where the attacker is at work: every command that opens anything of the data or of the volume.

use anyhow::Result;

use crate::host::{at, plant_interrupted, remove, reset};

/// What was done before a command.
#[derive(Clone, Copy)]
pub(crate) enum Before {
    Nothing,
    /// A restore of root's was interrupted at this stage.
    Interrupted(&'static str),
    /// The keys were taken out of the data, as a bake expects it.
    KeysRemoved,
}

/// A command of root's.
#[derive(Clone, Copy)]
pub(crate) struct Privileged {
    pub(crate) name: &'static str,
    pub(crate) args: &'static [&'static str],
    pub(crate) before: Before,
    /// What it opens, and so what is attacked.
    pub(crate) places: &'static [&'static str],
    /// Where a link or a file with a second name has to be refused.
    pub(crate) refuses: &'static [&'static str],
    /// Its exit code where nothing is attacked.
    pub(crate) code: i32,
    /// What it says then; "" where the code is enough.
    pub(crate) calm: &'static str,
}

impl Privileged {
    /// Begins the host anew, as the command expects it.
    pub(crate) fn prepare(&self) -> Result<()> {
        reset()?;
        match self.before {
            Before::Nothing => Ok(()),
            Before::Interrupted(stage) => plant_interrupted(stage),
            Before::KeysRemoved => {
                remove(&at("data/chains/t0rn/keystore"))?;
                remove(&at("data/chains/t0rn/network"))
            }
        }
    }
}

const PARENT: &[&str] = &["parent/.data.t0rn-agent", "parent/data"];
const BESIDE: &[&str] = &[
    "parent/x.tar.zst",
    "parent/x.tar.zst.part",
    "parent/x.tar.zst.manifest.json",
];
const VOLUME: &[&str] = &[
    "volume/keystore",
    "volume/keystore/6175726101010101010101010101010101010101010101010101010101010101010101ab",
    "volume/node-key",
    "volume/node-key.new",
];
const KEY_FILES: &[&str] = &[
    "volume/keystore",
    "volume/keystore/6175726101010101010101010101010101010101010101010101010101010101010101ab",
    "volume/node-key",
];
const LEASE: &[&str] = &["volume/lease.json", "volume/lease.json.tmp"];
const CHAIN: &[&str] = &[
    "data/chains",
    "data/chains/t0rn",
    "data/chains/t0rn/db",
    "data/chains/t0rn/db/full",
    "data/chains/t0rn/db/full/CURRENT",
    "data/chains/t0rn/db/full/MANIFEST-000005",
    "data/chains/t0rn/db/full/000001.sst",
    "data/chains/t0rn/db/full/000999.log",
    "data/chains/t0rn/db/full/db_version",
    "data/.snapshot",
    "data/.restore",
];
/// Without which a snapshot would not be whole.
const DATABASE: &[&str] = &[
    "data/chains/t0rn/db",
    "data/chains/t0rn/db/full",
    "data/chains/t0rn/db/full/CURRENT",
    "data/chains/t0rn/db/full/MANIFEST-000005",
    "data/chains/t0rn/db/full/000001.sst",
    "data/chains/t0rn/db/full/000999.log",
];
const KEYS: &[&str] = &[
    "data/chains",
    "data/chains/t0rn",
    "data/chains/t0rn/keystore",
    "data/chains/t0rn/keystore/61757261aa",
    "data/chains/t0rn/network",
    "data/chains/t0rn/network/secret_ed25519",
    "data/bake.json",
    "data/bake.json.tmp",
    "data/chains/t0rn/db/full",
    "data/chains/t0rn/db/full/CURRENT",
];
const RESTORED: &[&str] = &[
    "data/.restore",
    "data/.restore/journal.json",
    "data/.restore/tree",
    "data/.restore/old",
    "data/.before-restore",
    "data/.snapshot",
    "data/bake.json",
    "data/chains",
    "data/chains/t0rn",
    "data/chains/t0rn/db",
    "data/chains/t0rn/db/full",
    "data/chains/t0rn/db/full/CURRENT",
];

const fn command(
    name: &'static str,
    args: &'static [&'static str],
    places: &'static [&'static str],
    refuses: &'static [&'static str],
) -> Privileged {
    Privileged {
        name,
        args,
        before: Before::Nothing,
        places,
        refuses,
        code: 0,
        calm: "",
    }
}

const fn interrupted(name: &'static str, stage: &'static str, args: &'static [&'static str]) -> Privileged {
    Privileged {
        before: Before::Interrupted(stage),
        ..command(name, args, RESTORED, &["data/.restore"])
    }
}

/// A command that ends with another code than 0, and says this, where nothing is attacked.
const fn ending(command: Privileged, code: i32, calm: &'static str) -> Privileged {
    Privileged { code, calm, ..command }
}

const RESTORE: &[&str] = &["snapshot", "restore", "/mnt/in/good.tar.zst"];
const TO_FILE: &[&str] = &["snapshot", "create", "--to", "/mnt/out/x.tar.zst"];
const TO_PARENT: &[&str] = &["snapshot", "create", "--to", "/mnt/parent/x.tar.zst"];
const LIVE_TO_FILE: &[&str] = &["snapshot", "create", "--live", "--to", "/mnt/out/x.tar.zst"];
const IMPORT: &[&str] = &[
    "identity",
    "import",
    "--keystore",
    "/mnt/in/keystore",
    "--node-key",
    "/mnt/in/node-key",
];

/// Given up at once: there is no image.
const BAKE: &[&str] = &["bake", "--deadline", "20ms", "--credible", "10ms"];

pub(crate) const COMMANDS: &[Privileged] = &[
    command("prepare", &["--config", "/mnt/parent.toml", "prepare"], PARENT, PARENT),
    ending(command("check", &["check"], KEYS, &[]), 1, "14 checks: "),
    ending(command("status", &["status"], RESTORED, &[]), 3, "no agent is running"),
    command("identity status", &["identity", "status"], VOLUME, KEY_FILES),
    command("identity init", &["identity", "init"], VOLUME, KEY_FILES),
    command("identity import", IMPORT, VOLUME, KEY_FILES),
    command("identity mount", &["identity", "mount"], LEASE, &["volume/lease.json"]),
    command("create", TO_FILE, CHAIN, DATABASE),
    command(
        "create to stdout",
        &["snapshot", "create", "--to", "-"],
        CHAIN,
        DATABASE,
    ),
    command("create live", LIVE_TO_FILE, CHAIN, DATABASE),
    command(
        "create live to stdout",
        &["snapshot", "create", "--live", "--to", "-"],
        CHAIN,
        DATABASE,
    ),
    command("create beside the attacker", TO_PARENT, BESIDE, &[]),
    command("restore", RESTORE, RESTORED, &["data/.restore"]),
    command(
        "restore keeping the old",
        &["snapshot", "restore", "--keep-old", "/mnt/in/good.tar.zst"],
        RESTORED,
        &["data/.restore", "data/.before-restore"],
    ),
    interrupted("restore going on", "unpacking", RESTORE),
    interrupted("restore exchanging", "switching", RESTORE),
    interrupted("restore cleaning up", "switched", RESTORE),
    interrupted("abandon", "unpacking", &["snapshot", "abandon"]),
    ending(
        command("bake refused for keys", BAKE, KEYS, &[]),
        1,
        "keys in the data directory",
    ),
    ending(
        Privileged {
            before: Before::KeysRemoved,
            ..command("bake without a node", BAKE, KEYS, &["data/chains", "data/chains/t0rn"])
        },
        1,
        "the deadline of ",
    ),
    ending(
        command("bake verify", &["bake", "verify", "/mnt/data"], KEYS, &[]),
        1,
        "",
    ),
];
