//! Judges the cases from the field by the agent and by other policies: `field [-v] [KIND]`; KIND is a part of a name, `-v`
//! says what the agent got wrong. `FIELD_SEEDS`: cases of each kind (10). Exits 1 when the agent got any wrong.
//!
//! `field -w DIR [KIND]` writes them as traces for `t0rn-agent replay` instead, with what is right in `labels.json`.

#![expect(clippy::print_stdout, reason = "its output is a table")]

use std::env;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use t0rn_agent_tests::field::{export, seeds, table};

fn main() -> Result<ExitCode> {
    let words: Vec<_> = env::args().skip(1).collect();
    let count = seeds(10);
    if let Some(at) = words.iter().position(|word| word == "-w") {
        let folder = words.get(at + 1).context("-w needs a directory")?;
        export::write(Path::new(folder), count, words.get(at + 2).map_or("", String::as_str))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (flags, filters): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word.starts_with('-'));
    let table = table::judge(count, filters.first().map_or("", String::as_str), true);
    for row in table.rows.iter().filter(|_| flags.iter().any(|flag| flag == "-v")) {
        for (seed, text) in &row.wrong {
            println!("{} seed {seed}: {text}", row.kind);
        }
    }
    print!("{}", table.by_kind());
    Ok(ExitCode::from(u8::from(
        table.rows.iter().any(|row| !row.wrong.is_empty()),
    )))
}
