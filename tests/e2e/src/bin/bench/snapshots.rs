//! Snapshots against what an operator would type instead: `tar | zstd -T0` and `zstd -d | tar`.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use t0rn_agent_tests::agent::binary;

use super::{Line, median, mib, watch};

/// Of 64 MiB each.
const FILES: u32 = 32;
const FILE: usize = 64 << 20;
const ROUNDS: u32 = 3;

/// Writes 2 GiB of a database and copies it to and fro, in turn with the two tools.
pub(super) fn measure() -> Result<[Line; 6]> {
    println!("a database of 2 GiB, copied and put back {ROUNDS} times");
    let dir = tempfile::tempdir()?;
    let place = dir.path();
    write_database(&place.join("data/chains/bench/db/full"))?;
    let (mut created, mut restored) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let mut peaks = [0, 0];
    for _ in 0..ROUNDS {
        let file = place.join("own.tar.zst");
        let (took, peak) = watch(&mut snapshot(place, "data", &["create", "--to"], &file)?)?;
        created[0].push(took.as_secs_f64());
        peaks[0] = peaks[0].max(peak);
        let took = shell(place, "tar -C data -cf - chains | zstd -q -T0 -f -o theirs.tar.zst")?;
        created[1].push(took.as_secs_f64());

        for name in ["own", "theirs"] {
            fs::create_dir(place.join(name))?;
        }
        let (took, peak) = watch(&mut snapshot(place, "own", &["restore"], &file)?)?;
        restored[0].push(took.as_secs_f64());
        peaks[1] = peaks[1].max(peak);
        let took = shell(place, "zstd -q -dc theirs.tar.zst | tar -C theirs -xf -")?;
        restored[1].push(took.as_secs_f64());
        for name in ["own", "theirs"] {
            fs::remove_dir_all(place.join(name))?;
            fs::remove_file(place.join(format!("{name}.tar.zst")))?;
        }
    }
    let [create, tar] = created.map(median);
    let [restore, untar] = restored.map(median);
    Ok([
        Line::new(
            "snapshot create, 2 GiB, lasting on the disk (median)",
            create,
            "s",
            None,
        ),
        Line::new("  ratio to tar | zstd -T0, in the page cache", create / tar, "x", 1.0),
        Line::new("  its peak resident memory", mib(peaks[0]), "MiB", 64.0),
        Line::new("snapshot restore, proven and lasting (median)", restore, "s", None),
        Line::new("  ratio to zstd -d | tar, in the page cache", restore / untar, "x", 1.0),
        Line::new("  its peak resident memory", mib(peaks[1]), "MiB", 64.0),
    ])
}

fn snapshot(place: &Path, data: &str, args: &[&str], file: &Path) -> Result<Command> {
    let config = place.join(format!("{data}.toml"));
    let at = place.display();
    fs::write(
        &config,
        format!(
            "[agent]\nstate_dir = \"{at}/state\"\nsocket = \"{at}/agent.sock\"\ndocker = \"{at}/docker.sock\"\n\
             [collator]\nimage = \"example.org/collator:1\"\n[data]\npath = \"{at}/{data}\"\n"
        ),
    )?;
    let mut command = Command::new(binary()?);
    command.arg("--config").arg(config).arg("snapshot").args(args).arg(file);
    Ok(command)
}

fn shell(place: &Path, line: &str) -> Result<Duration> {
    let mut command = Command::new("sh");
    Ok(watch(command.args(["-c", line]).current_dir(place))?.0)
}

/// Tables of which zstd takes off a third, as of a chain's.
fn write_database(to: &Path) -> Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words: Vec<_> = (0..4096).map(|_| [noise(), noise(), noise()]).collect();
    fs::create_dir_all(to)?;
    fs::write(to.join("CURRENT"), "MANIFEST-000001\n")?;
    for number in 0..FILES {
        let mut out = BufWriter::new(File::create(to.join(format!("{number:06}.sst")))?);
        for _ in 0..FILE / 64 {
            let word = words[usize::try_from(noise() % 4096)?];
            for number in word.into_iter().chain(std::iter::repeat_with(&mut noise).take(5)) {
                out.write_all(&number.to_le_bytes())?;
            }
        }
        out.flush()?;
    }
    Ok(())
}
