//! What of the configuration is not in force.

use serde::{Deserialize, Serialize};

use super::format::clean;

/// Most keys that the text names.
const SHOWN: usize = 2;

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
        let remedy = "to apply: t0rn-agent reload --yes".to_owned();
        Some([format!("not in force: {keys}{more}"), remedy])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(keys: &[&str]) -> ConfigurationStatus {
        ConfigurationStatus {
            pending: keys.iter().map(ToString::to_string).collect(),
            ..ConfigurationStatus::default()
        }
    }

    #[test]
    fn pending_keys_are_named_with_the_command_that_applies_them() {
        let cells = pending(&["collator.image", "collator.command", "data.path"]).pending_cells();
        let expected = [
            "not in force: collator.image, collator.command and 1 more",
            "to apply: t0rn-agent reload --yes",
        ];
        assert_eq!(cells, Some(expected.map(str::to_owned)));
        assert_eq!(pending(&[]).pending_cells(), None);
    }
}
