//! One notification and its text.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::machine::{Cause, Health};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum NotificationKind {
    /// Something is wrong, and nothing is done about it now.
    Problem,
    /// Something is wrong, and the agent acts.
    Action,
    /// It has shown whether the last action helped.
    Judged,
    /// It is no longer wrong.
    Over,
    /// An operator wants to see a message arrive.
    Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationMessage {
    pub at: Timestamp,
    pub kind: NotificationKind,
    pub host: String,
    pub container: String,
    /// What it is about; a test is about nothing.
    pub cause: Option<Cause>,
    /// How bad that is; `None` when it is over, or shown to be cured.
    pub severity: Option<Health>,
    pub health: Health,
    /// What happened and what to do about it, in one sentence. No secrets.
    pub text: String,
    /// What the agent does: an action's kind.
    pub action: Option<&'static str>,
    pub incident: Option<String>,
    /// Whether the action helped, where the message is about that.
    pub helped: Option<bool>,
}

impl NotificationMessage {
    /// A message that only shows that messages arrive.
    pub fn test(at: Timestamp, host: String, container: String) -> Self {
        Self {
            at,
            kind: NotificationKind::Test,
            host,
            container,
            cause: None,
            severity: None,
            health: Health::Unknown,
            text: "this is a test: messages about this collator arrive here".to_owned(),
            action: None,
            incident: None,
            helped: None,
        }
    }

    /// One line: how bad it is, where, and what.
    pub fn headline(&self) -> String {
        let cause = self.cause.map_or("", Into::into).replace('_', " ");
        let what = match (self.kind, self.helped) {
            (NotificationKind::Test, _) => "test message".to_owned(),
            (NotificationKind::Over, _) => format!("{cause} is over"),
            (NotificationKind::Judged, Some(true)) => format!("{cause}: the restart helped"),
            (NotificationKind::Judged, _) => format!("{cause}: the restart did not help"),
            (NotificationKind::Problem | NotificationKind::Action, _) => cause,
        };
        let how = match self.kind {
            NotificationKind::Test => "TEST".to_owned(),
            _ => self.severity.unwrap_or(self.health).into_str().to_uppercase(),
        };
        format!("{how}: {} on {}: {what}", self.container, self.host)
    }

    /// What follows the headline; empty when that says it all.
    pub fn details(&self) -> Vec<String> {
        let doing = self.action.map(|action| match action {
            "restart" => "The agent restarts the collator.",
            "start" => "The agent starts the collator.",
            "hold" => "The agent keeps the collator stopped until an operator starts it.",
            "backoff" => "The agent stops the collator for a while.",
            _ => "The agent stops the collator.",
        });
        let incident = self.incident.as_ref().map(|id| format!("Incident {id}"));
        let last = [doing.map(str::to_owned), incident];
        let last: Vec<_> = last.into_iter().flatten().collect();
        let lines = [self.text.clone(), last.join(" ")];
        lines.into_iter().filter(|line| !line.is_empty()).collect()
    }
}
