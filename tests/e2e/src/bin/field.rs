//! Judges the cases from the field by the agent and by other policies: `field [-v] [KIND]`; KIND is a part of a name, `-v`
//! says what the agent got wrong. `FIELD_SEEDS`: cases of each kind (10). Exits 1 when the agent got any wrong.

#![expect(clippy::print_stdout, reason = "its output is a table")]

use std::env;
use std::process::ExitCode;

use t0rn_agent_tests::field::{seeds, table};

fn main() -> ExitCode {
    let (flags, filters): (Vec<_>, Vec<_>) = env::args().skip(1).partition(|word| word.starts_with('-'));
    let table = table::judge(seeds(10), filters.first().map_or("", String::as_str), true);
    let verbose = flags.iter().any(|flag| flag == "-v");
    for row in table.rows.iter().filter(|_| verbose) {
        for (seed, text) in &row.wrong {
            println!("{} seed {seed}: {text}", row.kind);
        }
    }
    print!("{}", table.by_kind());
    ExitCode::from(u8::from(table.rows.iter().any(|row| !row.wrong.is_empty())))
}
