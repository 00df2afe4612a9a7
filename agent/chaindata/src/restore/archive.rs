//! Unpacks a plain archive: a tar, compressed or not, with one checksum for the whole.

use std::io::{self, Read};

use anyhow::{Context as _, bail, ensure};
use ring::digest;

use super::prepare::Preparation;
use super::unpack::{UnknownEntryPolicy, UnpackedData, unpack};
use crate::journal::Journal;
use crate::snapshot::is_zstd;
use agent_core::units::show_mib;

/// Length of the magic number that identifies an archive, bytes.
pub(crate) const MAGIC_LENGTH: usize = 4;

/// Unpacks an archive and verifies its checksum. Returns the journal to commit with.
pub(super) fn unpack_archive(
    preparation: &mut Preparation<'_>,
    from: Box<dyn Read + Send>,
    magic: [u8; MAGIC_LENGTH],
) -> anyhow::Result<(Journal, UnpackedData)> {
    let name = preparation.source.name();
    let Some(expected) = preparation.options.sha256 else {
        bail!("{name} is no snapshot but a plain archive: give the checksum that its publisher names (--sha256)");
    };
    ensure!(
        preparation.options.public_key.is_none(),
        "{name} is a plain archive, which carries no signature: leave --public-key away"
    );
    let expected = hex::encode(expected);
    preparation.journal_to_resume(&expected)?;
    let free = show_mib(preparation.free_space()?);
    preparation.observer.note(&format!(
        "how much room a plain archive needs is not known; {free} are free, and the present data stays until all is there"
    ));
    let journal = preparation.new_journal(expected.clone())?;
    let dir = preparation.restore.unpacked()?;
    let target = preparation.target(&dir, UnknownEntryPolicy::Skip, preparation.options.strip)?;
    let mut hashed = HashingReader::new(from);
    preparation.observer.begin("restore", None);
    let mut archive = decoder(&mut hashed, magic)?;
    let unpacked = unpack(&mut archive, &target, u64::MAX, preparation.observer, |_, _| Ok(()));
    let unpacked = unpacked.with_context(|| format!("{name} cannot be unpacked"))?;
    io::copy(&mut archive, &mut io::sink()).context("the archive is damaged at its end")?;
    drop(archive);
    io::copy(&mut hashed, &mut io::sink())?;
    preparation.observer.end();
    let found = hashed.finish();
    ensure!(
        found == expected,
        "{name} has the SHA-256 {found}, and {expected} was asked for; nothing was switched"
    );
    Ok((journal, unpacked))
}

/// Decoder for the compression that the first bytes name.
pub(crate) fn decoder<'a>(from: &'a mut dyn Read, magic: [u8; MAGIC_LENGTH]) -> anyhow::Result<Box<dyn Read + 'a>> {
    Ok(match magic {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(from)),
        [0x04, 0x22, 0x4d, 0x18] => Box::new(lz4_flex::frame::FrameDecoder::new(from)),
        magic if is_zstd(&magic) => Box::new(zstd::stream::read::Decoder::new(from)?),
        _ => Box::new(from),
    })
}

struct HashingReader<R> {
    from: R,
    context: digest::Context,
}

impl<R> HashingReader<R> {
    fn new(from: R) -> Self {
        let context = digest::Context::new(&digest::SHA256);
        Self { from, context }
    }

    fn finish(self) -> String {
        hex::encode(self.context.finish().as_ref())
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.context.update(&buffer[..read]);
        Ok(read)
    }
}
