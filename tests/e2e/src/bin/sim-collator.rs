//! The simulated collator; see [`t0rn_agent_tests::sim`].

use std::process::ExitCode;

fn main() -> ExitCode {
    t0rn_agent_tests::sim::run(std::env::args().skip(1))
}
