//! What of the configuration is not in force.

use serde::{Deserialize, Serialize};

use super::format::clean;

/// Most keys that the text names.
const SHOWN: usize = 3;

/// A configuration that was read again and is not in force, or not as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigurationStatus {
    /// Why the file was refused at the last reload: the former configuration stays in force.
    pub error: Option<String>,
    /// Changed keys that need more than a reload.
    pub pending: Vec<String>,
    /// Whether they re-create the container of the collator, and not only restart the agent.
    pub replaces_container: bool,
}

impl ConfigurationStatus {
    /// The cells of the text about the keys that are not in force; `None` when there is none.
    pub(super) fn pending_cells(&self) -> Option<[String; 2]> {
        if self.pending.is_empty() {
            return None;
        }
        let shown = self.pending.len().min(SHOWN);
        let keys = clean(&self.pending[..shown].join(", "));
        let more = match self.pending.len() - shown {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let what = if self.replaces_container {
            "another container"
        } else {
            "a restart of the agent"
        };
        let remedy = format!("t0rn-agent reload --yes applies it with {what}");
        Some([format!("not in force: {keys}{more}"), remedy])
    }
}
