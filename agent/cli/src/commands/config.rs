//! `config`: checks a configuration, compares it with the one in force, or prints the default or the schema.

mod diff;

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use agent_config::{Config, ConfigError};

use self::diff::DiffArgs;
pub(crate) use self::diff::describe;
use crate::globals::{GlobalArgs, non_empty};
use crate::output::{JsonArg, print, print_json};

pub(crate) const EXAMPLES: &str = "\
Examples:
  t0rn-agent config default > /etc/t0rn-agent/agent.toml
  t0rn-agent config check ./agent.toml
  t0rn-agent config diff ./agent.toml
  t0rn-agent config schema > agent.schema.json";

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Exit 0 when it can be used; otherwise 2, with file, line, key and remedy of every problem
    Check {
        /// The file to check [default: as for --config]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        format: JsonArg,
    },
    /// What a file changes against the configuration of the running agent, and whether that replaces the container
    Diff(DiffArgs),
    /// Print every key with its default and what it is for
    Default,
    /// Print the JSON schema, for editors and for programs that write a configuration
    Schema,
}

pub(crate) async fn execute(command: &ConfigCommand, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check { file, format } => {
            let path = non_empty(file.as_deref()).unwrap_or_else(|| globals.config_path());
            let loaded = Config::load(path);
            if format.json {
                let problems = loaded.as_ref().err().map(ConfigError::to_json);
                let problems = problems.unwrap_or_else(|| json!([]));
                print_json(
                    out,
                    &json!({ "schema": 1, "file": path, "valid": loaded.is_ok(), "problems": problems }),
                )?;
            } else if loaded.is_ok() {
                print(out, &format!("{}: ok\n", path.display()))?;
            }
            Ok(loaded.map(drop)?)
        }
        ConfigCommand::Diff(args) => diff::execute(args, globals, out).await,
        ConfigCommand::Default => print(out, agent_config::DEFAULT),
        ConfigCommand::Schema => print(out, agent_config::SCHEMA),
    }
}
