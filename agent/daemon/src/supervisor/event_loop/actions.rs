//! Actions of the core to effects.

use agent_core::machine::{Action, Cause};
use agent_core::notification::{NotificationKind, NotificationMessage};
use tracing::{info, warn};

use super::EventLoop;
use crate::supervisor::executor::Circumstances;

impl EventLoop {
    pub(super) fn carry_out(&mut self, actions: Vec<Action>) {
        let now = self.clock.now();
        let messages = self.notifications.select(&actions, &self.machine);
        // A message about an action on the container waits for its incident.
        let (mut with_action, mut messages): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| message.kind == NotificationKind::Action);
        for action in actions {
            self.recorder.action(now, &action);
            self.history.action(&action);
            match action {
                Action::Notify { cause, over: true } => info!(cause = cause.into_str(), "over"),
                Action::Notify { cause, over: false } => {
                    warn!(cause = cause.into_str(), "{}", self.machine.explain(cause));
                }
                Action::Judged { cause, helped } => self.on_judged(cause, helped, &mut messages),
                Action::Pull { image } => self.executor.pull(image),
                Action::Updated { result } => {
                    let why = self.machine.explain(result.cause());
                    info!(result = result.into_str(), why, "update");
                    self.publisher.counters.update(result);
                    self.note_images();
                    self.executor.remove_old_images(&self.machine);
                }
                Action::ReleaseIdentity { .. } | Action::HoldIdentity | Action::AnswerLifecycle { .. } => {
                    self.executor.hand_over(&action);
                }
                action => self.act(action, with_action.pop()),
            }
        }
        for message in messages {
            self.notifications.send(message);
        }
    }

    fn on_judged(&mut self, cause: Cause, helped: bool, messages: &mut [NotificationMessage]) {
        info!(cause = cause.into_str(), helped, "the restart was judged");
        let incident = self.executor.incidents.judge(cause, helped);
        let judged = |m: &&mut NotificationMessage| m.kind == NotificationKind::Judged && m.cause == Some(cause);
        if let Some(message) = messages.iter_mut().find(judged) {
            message.incident = incident;
        }
        self.publisher.facts.last_incident = self.executor.incidents.last().cloned();
    }

    /// Begins an action on the container.
    fn act(&mut self, action: Action, message: Option<NotificationMessage>) {
        let (kind, cause) = (action.kind(), action.cause());
        info!(
            action = kind,
            cause = cause.into_str(),
            why = self.machine.explain(cause),
            "acting"
        );
        // An update changes nothing before its state is on disk.
        let forward = cause == Cause::Update && matches!(action, Action::Stop { .. } | Action::Start { .. });
        if let Some(error) = self.store.unsaved().filter(|_| forward) {
            return self.executor.refuse(action, error.to_owned());
        }
        let evidence = action.answers_fault().then(|| {
            self.publisher.counters.incident(cause);
            let (now, status) = (self.clock.now(), self.publisher.status());
            self.executor.incidents.begin(now, &action, &self.machine, &status)
        });
        let message = message.map(|message| NotificationMessage {
            incident: evidence.as_ref().map(|evidence| evidence.id.clone()),
            ..message
        });
        let message = message.zip(self.notifications.sender());
        self.executor.begin(action, Circumstances { evidence, message });
    }

    pub(super) fn note_images(&mut self) {
        let detail = self.publisher.facts.detail.as_ref();
        let running = detail.and_then(|detail| detail.image_id.clone());
        self.executor.note_images(running.as_deref(), &self.machine);
    }
}
