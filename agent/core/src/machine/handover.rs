//! What is given back when this host ends: the identity volume, and the instance to its auto scaling group.

use serde::{Deserialize, Serialize};

use super::{Action, Cause, Machine};
use crate::event::{LifecycleAnswer, NoticeKind};

/// How far the release of the identity volume is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Release {
    /// The volume is held, or to be held.
    #[default]
    Held,
    Ordered,
    Done,
}

impl Machine {
    /// Orders what the end of this host calls for, each once.
    pub(super) fn hand_over(&mut self, actions: &mut Vec<Action>) {
        let vacated = self.policy.identity.is_some() && self.is_vacated();
        match (vacated, self.state.release) {
            (true, Release::Held) => {
                self.state.release = Release::Ordered;
                let cause = self
                    .state
                    .notice
                    .map_or(Cause::Termination, super::termination::ActiveNotice::cause);
                actions.push(Action::ReleaseIdentity { cause });
            }
            (false, Release::Ordered | Release::Done) => {
                self.state.release = Release::Held;
                actions.push(Action::HoldIdentity);
            }
            _ => {}
        }
        let answer = self.lifecycle_answer();
        if answer != std::mem::replace(&mut self.state.lifecycle, answer) {
            actions.push(Action::AnswerLifecycle { answer });
        }
    }

    pub(super) fn on_identity_released(&mut self) {
        if self.state.release == Release::Ordered {
            self.state.release = Release::Done;
        }
    }

    /// The answer for the Auto Scaling group; `None` while it does not terminate the instance.
    fn lifecycle_answer(&self) -> Option<LifecycleAnswer> {
        let kind = self.state.notice.filter(|notice| notice.is_confirmed())?.kind();
        let given_back = self.policy.identity.is_none() || self.state.release == Release::Done;
        (kind == NoticeKind::Termination).then_some(if self.is_down() && given_back {
            LifecycleAnswer::Complete
        } else {
            LifecycleAnswer::Wait
        })
    }
}
