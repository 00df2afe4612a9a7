//! `notify test`: one message to the configured webhook.

use std::io::Write;

use clap::Subcommand;
use serde_json::json;

use agent_core::notification::NotificationMessage;
use agent_daemon::host::HostProbe;
use agent_daemon::notify;

use crate::globals::GlobalArgs;
use crate::output::{JsonArg, print, print_json};

pub(crate) const EXAMPLES: &str = "\
Exit codes: 0 the webhook took the message, 1 it did not, 2 none is configured.

Example:
  t0rn-agent notify test";

#[derive(Debug, Subcommand)]
pub(crate) enum NotifyCommand {
    /// Send a test message to the configured webhook, once, and say what came of it
    Test(JsonArg),
}

pub(crate) async fn execute(command: &NotifyCommand, globals: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let NotifyCommand::Test(format) = command;
    let config = globals.load_config()?;
    let message = NotificationMessage::test(jiff::Timestamp::now(), HostProbe::name(), config.collator.container);
    notify::send_now(&config.notify, message).await?;
    if format.json {
        print_json(out, &json!({ "schema": 1, "delivered": true }))
    } else {
        print(out, "the webhook took the message\n")
    }
}
