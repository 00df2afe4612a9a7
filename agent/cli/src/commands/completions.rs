//! `completions`: completion scripts for shells.

use std::io::Write;

use clap::Args;
use clap_complete::Shell;

use crate::output::write;

pub(crate) const EXAMPLES: &str = "\
Example:
  t0rn-agent completions bash > /usr/share/bash-completion/completions/t0rn-agent";

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn execute(args: &CompletionsArgs, cli: &mut clap::Command, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, cli, "t0rn-agent", &mut script);
    write(out, &script)
}
