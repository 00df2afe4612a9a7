//! Runs the command of a parsed command line.

use std::io::Write;

use clap::CommandFactory as _;

use agent_core::event::Command;

use crate::args::{Cli, CliCommand};
use crate::commands::control::send_command;
use crate::commands::{
    check, completions, config, identity, incidents, init, logs, notify, reload, replay, report, run, snapshot, status,
    takeover, update,
};

impl Cli {
    /// Whether the command's log is its main output: it does the agent's own work.
    pub fn is_agent(&self) -> bool {
        match &self.command {
            CliCommand::Run => true,
            CliCommand::Bake(bake) => bake.is_logged(),
            _ => false,
        }
    }

    /// Runs the command; its output goes to `out`. Returns the exit code; that of an error is [`crate::exit_code`].
    pub async fn execute(self, out: &mut dyn Write) -> anyhow::Result<u8> {
        let globals = &self.globals;
        match &self.command {
            CliCommand::Run => run::run_agent(globals).await?,
            CliCommand::Prepare => run::prepare_paths(globals).await?,
            CliCommand::Status(args) => return status::execute(args, globals, out).await,
            CliCommand::Logs(args) => logs::execute(args, globals, out).await?,
            CliCommand::Restart(args) => send_command(globals, args.command(), args.format, out).await?,
            CliCommand::Stop(format) => send_command(globals, Command::STOP, *format, out).await?,
            CliCommand::Start(format) => send_command(globals, Command::START, *format, out).await?,
            CliCommand::Pause(args) => send_command(globals, args.command(), args.format, out).await?,
            CliCommand::Resume(format) => send_command(globals, Command::Resume, *format, out).await?,
            CliCommand::Update(args) => return update::execute(args, globals, out).await,
            CliCommand::Incidents(args) => incidents::execute(args, globals, out)?,
            CliCommand::Report(args) => report::execute(args, globals, out).await?,
            CliCommand::Check(args) => return check::execute(args, globals, out).await,
            CliCommand::Takeover(args) => return Box::pin(takeover::execute(args, globals, out)).await,
            CliCommand::Notify(command) => notify::execute(command, globals, out).await?,
            CliCommand::Init(args) => Box::pin(init::execute(args, globals, out)).await?,
            CliCommand::Config(command) => config::execute(command, globals, out).await?,
            CliCommand::Reload(args) => reload::execute(args, globals, out).await?,
            CliCommand::Replay(args) => replay::execute(args, globals, out).await?,
            CliCommand::Bake(args) => return args.execute(globals, out).await,
            CliCommand::Snapshot(command) => return Box::pin(snapshot::execute(command, globals, out)).await,
            CliCommand::Identity(command) => identity::execute(command, globals, out).await?,
            CliCommand::Completions(args) => completions::execute(args, &mut Self::command(), out)?,
        }
        Ok(0)
    }
}
