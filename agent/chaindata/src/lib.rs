//! Snapshots of chain data: `snapshot create`, `restore`, `verify`, in the process of the command, never in the daemon's.
//!
//! What may be in an image may be in a snapshot, by the same allow list. The form ([`format`]) is proven chunk by chunk
//! while it is read ([`read`]); a restore happens aside ([`unpack`]) and then by renames that are written down first
//! ([`switch`]).

pub mod certificate;
pub mod compatibility;
mod create;
pub mod database_versions;
pub mod files;
mod format;
mod journal;
pub mod layout;
mod live;
mod local;
mod pool;
mod progress;
mod read;
mod restore;
pub mod scrub;
mod sign;
pub mod stop_marker;
pub mod survey;
mod switch;
#[cfg(test)]
mod tests;
mod unpack;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;

pub use self::create::Created;
pub use self::format::{Consistency, Head, Manifest, sha256};
pub use self::journal::{claim, interrupted, is_switching};
pub use self::local::{Stdin, Whole, stdout};
pub use self::read::Refused;
pub use self::restore::{Options, Ready, Source, abandon, commit, prepare, verify};
pub use self::sign::{NotSigned, PublicKey, SecretKey};

/// Writes a snapshot of `data` to `to`. `say` gets what is left out and why. This blocks on the disk.
///
/// Fails when there is no database, or when something changes meanwhile although it is to be clean.
pub fn create<W: Write + Send>(
    data: &Path,
    consistency: Consistency,
    nodes: &BTreeMap<String, compatibility::NodeInfo>,
    to: &mut W,
    signer: Option<&SecretKey>,
    quiet: bool,
    say: &mut dyn FnMut(&str),
) -> anyhow::Result<Created> {
    ensure!(
        !is_switching(data),
        "{}: a restore was interrupted while it switched; run it again first",
        data.display()
    );
    live::clean(data)?;
    let survey = survey::survey_data_dir(data, false).with_context(|| format!("cannot read {}", data.display()))?;
    if let Some((path, why)) = survey.incomplete_database() {
        bail!(
            "{}: {why}, and a snapshot without it would not be whole: put what it stands for in its place",
            data.join(path).display()
        );
    }
    for (path, why) in &survey.refused {
        say(&format!("left out: {}: {why}", path.display()));
    }
    let chains = compatibility::chain_facts(data, &survey, nodes);
    ensure!(
        !chains.is_empty(),
        "{} holds no database of a chain; check data.path",
        data.display()
    );
    let moment = match consistency {
        Consistency::Clean => None,
        Consistency::CrashConsistent => Some(live::hold(data, &survey)?),
    };
    let (items, files, bytes) = match &moment {
        None => (
            create::items(data, &survey.allowed),
            survey.tree.files,
            survey.tree.bytes,
        ),
        Some(moment) => {
            let lengths = moment.items.iter().filter_map(|item| fs::metadata(&item.from).ok());
            let files = lengths.filter(fs::Metadata::is_file).map(|about| about.len());
            let (count, sum) = files.fold((0, 0), |(count, sum), length| (count + 1, sum + length));
            (moment.items.clone(), count, sum)
        }
    };
    let now = Timestamp::now();
    let head = Head {
        schema: format::SCHEMA,
        // Both are of one length: what follows lies where it lay, and an upload goes on with it.
        id: format!("{:016x}", now.as_nanosecond()),
        at: Timestamp::from_second(now.as_second())?,
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        consistency,
        chains,
        files,
        bytes,
    };
    let progress = progress::Progress::new("snapshot", Some(head.bytes)).silent(quiet);
    let failed = || format!("cannot read {}", data.display());
    let before = create::marks(&items).with_context(failed)?;
    let proof = || {
        if moment.is_some() {
            return Ok(());
        }
        let now = survey::survey_data_dir(data, false).with_context(failed)?;
        let now = create::marks(&create::items(data, &now.allowed)).with_context(failed)?;
        ensure!(
            now == before,
            "{} changed while it was copied: does a node run on it?",
            data.display()
        );
        Ok(())
    };
    let created = create::create(&items, &head, to, signer, &progress, proof)?;
    progress.end();
    Ok(created)
}

/// The digest that 64 hex digits stand for.
pub fn digest(hex: &str) -> Option<[u8; 32]> {
    format::unhex(hex)
}

/// How many bytes a snapshot of `data` has before it is compressed, about.
pub fn size(data: &Path) -> anyhow::Result<u64> {
    live::clean(data)?;
    let survey = survey::survey_data_dir(data, false).with_context(|| format!("cannot read {}", data.display()))?;
    Ok(survey.tree.bytes)
}
