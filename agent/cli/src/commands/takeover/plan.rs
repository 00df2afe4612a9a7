//! The next step of a takeover, or of its undoing, from what Docker, systemd and the agent show.
//!
//! Nothing is remembered between two steps but the predecessor's restart policy, which Docker forgets when it is changed.
//! So it makes no difference where an earlier call was killed, nor in which direction it went.
//!
//! The order keeps one collator running. The agent is there, its container made, before the predecessor is stopped: it
//! refuses to start while another container runs on the data, and starts as soon as none does, also when the command is
//! killed and when the host boots. On the way back the agent is stopped first and disabled last.

/// Whether the agent can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AgentState {
    Absent,
    /// It answers, and was started before the configuration was changed.
    Outdated,
    Answers,
    /// It answers, and keeps its collator stopped.
    Stopped,
}

/// The agent's own container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CollatorState {
    Missing,
    /// Made, or ended.
    Down,
    Runs,
}

/// The agent's systemd unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnitState {
    pub(super) is_enabled: bool,
    pub(super) is_active: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct PredecessorState {
    /// Whether it has the name under which it is kept.
    pub(super) is_kept: bool,
    pub(super) runs: bool,
    /// Whether Docker starts it by itself.
    pub(super) restarts: bool,
    /// Whether its restart policy is the recorded one.
    pub(super) has_recorded_policy: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Observed {
    /// Whether the predecessor's restart policy is recorded.
    pub(super) is_recorded: bool,
    /// `None` once it is gone, as with `docker run --rm`.
    pub(super) predecessor: Option<PredecessorState>,
    /// `None` where systemd does not run the agent.
    pub(super) unit: Option<UnitState>,
    pub(super) agent: AgentState,
    pub(super) collator: CollatorState,
    /// Whether the agent's container has the predecessor's own name.
    pub(super) collator_has_name: bool,
    /// Whether an identity is required and this host is not known to hold it.
    pub(super) lacks_identity: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Record the predecessor's restart policy.
    Record,
    EnableUnit,
    StartAgent,
    /// Wait until this host holds the identity: until then nothing may run in the predecessor's place, or only without keys.
    AwaitIdentity,
    /// Give the predecessor the name under which it is kept.
    Rename,
    /// Have the agent make its container, and try again without a pause.
    Prepare,
    /// Keep Docker from starting the predecessor by itself.
    DisableRestarts,
    StopPredecessor,
    /// Have the agent start its container.
    StartCollator,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UndoStep {
    /// Stop the agent where systemd runs it, else have it keep its collator stopped.
    StopAgent,
    StopCollator,
    StartPredecessor,
    RestoreRestarts,
    /// Remove the agent's container, which has the predecessor's name. Its data stays.
    RemoveCollator,
    RenameBack,
    DisableUnit,
    /// Remove the record.
    Forget,
    Done,
}

pub(super) fn next_step(seen: &Observed) -> Step {
    let collator_runs = seen.collator == CollatorState::Runs;
    let Some(predecessor) = seen.predecessor else {
        return if collator_runs { Step::Done } else { Step::StartCollator };
    };
    if !seen.is_recorded {
        return Step::Record;
    }
    if seen.unit.is_some_and(|unit| !unit.is_enabled) {
        return Step::EnableUnit;
    }
    let is_outdated = seen.agent == AgentState::Outdated && !collator_runs;
    if seen.agent == AgentState::Absent || is_outdated {
        return Step::StartAgent;
    }
    if predecessor.runs && seen.lacks_identity {
        return Step::AwaitIdentity;
    }
    if !predecessor.is_kept {
        return Step::Rename;
    }
    if predecessor.runs && seen.collator == CollatorState::Missing {
        return Step::Prepare;
    }
    if predecessor.restarts {
        return Step::DisableRestarts;
    }
    if predecessor.runs {
        return Step::StopPredecessor;
    }
    if collator_runs { Step::Done } else { Step::StartCollator }
}

pub(super) fn next_undo_step(seen: &Observed) -> UndoStep {
    let is_agent_up = match seen.unit {
        Some(unit) => unit.is_active,
        None => matches!(seen.agent, AgentState::Answers | AgentState::Outdated),
    };
    if is_agent_up {
        return UndoStep::StopAgent;
    }
    if seen.collator == CollatorState::Runs {
        return UndoStep::StopCollator;
    }
    if let Some(predecessor) = seen.predecessor {
        if !predecessor.runs {
            return UndoStep::StartPredecessor;
        }
        if !predecessor.has_recorded_policy {
            return UndoStep::RestoreRestarts;
        }
        if predecessor.is_kept {
            return if seen.collator_has_name {
                UndoStep::RemoveCollator
            } else {
                UndoStep::RenameBack
            };
        }
    }
    if seen.unit.is_some_and(|unit| unit.is_enabled) {
        return UndoStep::DisableUnit;
    }
    if seen.is_recorded {
        return UndoStep::Forget;
    }
    UndoStep::Done
}

#[cfg(test)]
mod tests;
