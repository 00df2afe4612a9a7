//! A configuration in the making: values for `agent.toml`, and what the operator has to know about them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use agent_core::event::Chain;

use crate::commands::node_command::NodeCommand;

/// Values for the file, and notes.
#[derive(Default)]
pub(super) struct Draft {
    /// What it was made from, for the head of the file.
    pub(super) origin: String,
    /// Name of the container that is there already.
    pub(super) existing: Option<String>,
    /// Socket of the Docker engine where it is not the default.
    pub(super) docker: Option<PathBuf>,
    pub(super) image: String,
    pub(super) image_comment: Option<String>,
    pub(super) container: String,
    pub(super) entrypoint: Option<String>,
    /// What stands before `command` when it runs: the entrypoint, the image's own where none is given.
    pub(super) program: Vec<String>,
    /// Where relative paths of the command begin.
    pub(super) dir: PathBuf,
    pub(super) command: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) network: String,
    pub(super) ports: Vec<DraftPort>,
    pub(super) user: String,
    pub(super) user_comment: Option<String>,
    /// Further keys of `[collator]` as they stand in the file, with a comment.
    pub(super) collator: Vec<(&'static str, String, Option<String>)>,
    pub(super) data: (PathBuf, PathBuf),
    pub(super) data_comment: Option<String>,
    pub(super) mounts: Vec<DraftMount>,
    pub(super) chains: Vec<DraftChain>,
    /// Value of `metrics.listen` where it is not the default.
    pub(super) listen: Option<String>,
    pub(super) notes: Vec<Note>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DraftPort {
    pub(super) address: Option<std::net::IpAddr>,
    pub(super) host: u16,
    pub(super) container: u16,
    pub(super) protocol: &'static str,
}

pub(super) struct DraftMount {
    pub(super) source: PathBuf,
    pub(super) target: PathBuf,
    pub(super) read_only: bool,
    pub(super) comment: Option<String>,
}

pub(super) struct DraftChain {
    pub(super) chain: Chain,
    pub(super) metrics: String,
    pub(super) prefix: String,
    pub(super) comment: Option<String>,
}

/// Something that the operator has to know, on standard error and at the head of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) is_urgent: bool,
    pub(super) text: String,
}

impl Draft {
    pub(super) fn node(&self) -> NodeCommand {
        NodeCommand::parse(&[&*self.program, &self.command].concat(), &self.dir)
    }

    /// Notes what changes or could not be carried over.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.add_note(false, text.into());
    }

    /// Notes what has to be done before the agent starts the collator.
    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.add_note(true, text.into());
    }

    fn add_note(&mut self, is_urgent: bool, text: String) {
        let note = Note { is_urgent, text };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Sets a further key of `[collator]`.
    pub(super) fn set(&mut self, key: &'static str, value: String, comment: Option<&str>) {
        self.collator.push((key, value, comment.map(str::to_owned)));
    }
}
