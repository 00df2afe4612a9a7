#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod delivery;
mod fake;
mod webhook;

use agent_config::{NotifyConfig, NotifyFormat};
use agent_core::machine::{Cause, Health};
use agent_core::notification::{NotificationKind, NotificationMessage};

/// A stall that the agent answers.
fn stalled() -> NotificationMessage {
    NotificationMessage {
        at: "2026-11-22T22:50:00Z".parse().unwrap(),
        kind: NotificationKind::Action,
        host: "ip-10-10-1-7".to_owned(),
        container: "t0rn-collator".to_owned(),
        cause: Some(Cause::Stalled),
        severity: Some(Health::Critical),
        health: Health::Critical,
        text: "behind its target without progress although it has peers".to_owned(),
        action: Some("restart"),
        incident: Some("20261122T225000Z-stalled".to_owned()),
        helped: None,
    }
}

/// A problem without an action, with this text.
fn problem(cause: Cause, text: &str) -> NotificationMessage {
    NotificationMessage {
        kind: NotificationKind::Problem,
        cause: Some(cause),
        severity: Some(Health::Degraded),
        health: Health::Degraded,
        text: text.to_owned(),
        action: None,
        incident: None,
        ..stalled()
    }
}

fn over(cause: Cause) -> NotificationMessage {
    NotificationMessage {
        kind: NotificationKind::Over,
        severity: None,
        health: Health::Ok,
        ..problem(cause, "")
    }
}

fn config(url: &str, format: NotifyFormat) -> NotifyConfig {
    NotifyConfig {
        webhook: Some(url.to_owned()),
        format,
        no_collation_after: None,
    }
}
