//! Turns actions into notifications: one when a problem starts, one when it ends.

use std::collections::BTreeSet;

use super::message::NotificationKind;
use crate::machine::{Action, Cause, UpdateResult};

/// A notification without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification {
    pub kind: NotificationKind,
    pub cause: Cause,
    pub action: Option<&'static str>,
    pub helped: Option<bool>,
}

/// Remembers what was left unsaid because something better is to come.
#[derive(Debug, Default)]
pub struct NotificationFilter {
    /// Over since a restart: whether that helped is notified once it is known.
    awaited: BTreeSet<Cause>,
    /// A restart helped, which was notified: that it is over says no more.
    helped: BTreeSet<Cause>,
    /// Notified as a problem and not over: a start that answers it is not notified.
    announced: BTreeSet<Cause>,
}

impl NotificationFilter {
    /// The notifications for the actions of one step.
    /// `is_tried` whether a restart for a cause has yet to show what it was good for.
    pub fn select(&mut self, actions: &[Action], is_tried: impl Fn(Cause) -> bool) -> Vec<Notification> {
        let acts_on = |cause| actions.iter().any(|a| a.answers_fault() && a.cause() == cause);
        let judges = |cause| {
            actions
                .iter()
                .any(|a| matches!(a, Action::Judged { cause: c, .. } if *c == cause))
        };
        let mut selected = Vec::new();
        for action in actions {
            let cause = action.cause();
            let plain = Notification {
                kind: NotificationKind::Problem,
                cause,
                action: None,
                helped: None,
            };
            if matches!(action, Action::Notify { over: true, .. }) {
                self.announced.remove(&cause);
            }
            match action {
                Action::Start { .. } if self.announced.contains(&cause) => {}
                // The action says what it answers, the judgement that it is back or gone.
                Action::Notify { over: false, .. } => {
                    self.awaited.remove(&cause);
                    self.helped.remove(&cause);
                    if !acts_on(cause) && !judges(cause) {
                        self.announced.insert(cause);
                        selected.push(plain);
                    }
                }
                Action::Notify { over: true, .. } if judges(cause) || self.helped.remove(&cause) => {}
                Action::Notify { over: true, .. } if is_tried(cause) => {
                    self.awaited.insert(cause);
                }
                Action::Notify { over: true, .. } => {
                    let kind = NotificationKind::Over;
                    selected.push(Notification { kind, ..plain });
                }
                Action::Judged { helped, .. } => {
                    self.awaited.remove(&cause);
                    if *helped {
                        self.helped.insert(cause);
                    }
                    selected.push(Notification {
                        kind: NotificationKind::Judged,
                        helped: Some(*helped),
                        ..plain
                    });
                }
                // A rollback and a hold were notified when they were done.
                Action::Updated { result } => match result {
                    UpdateResult::Done | UpdateResult::NotProven => selected.push(Notification {
                        kind: NotificationKind::Over,
                        ..plain
                    }),
                    UpdateResult::Failed => selected.push(plain),
                    _ => {}
                },
                action if action.answers_fault() => selected.push(Notification {
                    kind: NotificationKind::Action,
                    action: Some(action.kind()),
                    ..plain
                }),
                _ => {}
            }
        }
        // Whether it helped is not judged any more: an operator has said that things changed.
        let untold: Vec<_> = self.awaited.iter().copied().filter(|cause| !is_tried(*cause)).collect();
        for cause in untold {
            self.awaited.remove(&cause);
            selected.push(Notification {
                kind: NotificationKind::Over,
                cause,
                action: None,
                helped: None,
            });
        }
        selected
    }
}
