//! Prints the JSON schema of the configuration.
//!
//! usage: cargo run --package agent-config --example schema > dist/agent.schema.json

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    let schema = agent_config::schema();
    writeln!(io::stdout(), "{schema:#}")
}
