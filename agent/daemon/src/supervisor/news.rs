//! Messages about what the core decided, and the task that takes them to people. Without a webhook, nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::actions::{is_incident, secrets};
use crate::host::Host;
use crate::notify::{Mailbox, Notifier};
use crate::recorder;
use agent_config::Config;
use agent_core::machine::{Action, Cause, Machine};
use agent_core::notification::news::{Desk, News};
use agent_core::notification::{Kind, Message};
use agent_docker::Docker;

/// What the end of the agent waits for messages that have not arrived yet.
const GRACE: Duration = Duration::from_secs(5);

/// Where news are put into words.
pub(super) struct Newsroom {
    open: Option<Open>,
}

struct Open {
    desk: Desk,
    notifier: Notifier,
    config: Arc<Config>,
    docker: Docker,
    host: String,
}

/// The message about an action, which waits for the id of its incident.
#[derive(Debug)]
pub(super) struct Letter {
    message: Message,
    mailbox: Mailbox,
}

impl Letter {
    pub(super) fn send(self, incident: Option<String>) {
        let Self { message, mailbox } = self;
        mailbox.send(Message { incident, ..message });
    }
}

impl Newsroom {
    /// Open when a webhook is configured.
    pub(super) fn open(config: &Arc<Config>, docker: &Docker) -> Self {
        let open = Notifier::start(&config.notify).map(|notifier| Open {
            desk: Desk::default(),
            notifier,
            config: Arc::clone(config),
            docker: docker.clone(),
            host: Host::name(),
        });
        Self { open }
    }

    /// Messages about what the core decided in one step, as things stand now.
    pub(super) fn about(&mut self, actions: &[Action], machine: &Machine) -> Vec<Message> {
        let Some(open) = &mut self.open else { return Vec::new() };
        let news = open.desk.edit(actions, is_incident, |cause| machine.is_tried(cause));
        news.into_iter().map(|news| open.message(news, machine)).collect()
    }

    /// Takes the message about `action` out of `news`, if it is to be told.
    pub(super) fn letter(&self, action: &Action, news: &mut Vec<Message>) -> Option<Letter> {
        let is_it = |m: &Message| m.kind == Kind::Action && m.cause == Some(action.cause());
        let message = news.remove(news.iter().position(is_it)?);
        let mailbox = self.open.as_ref()?.notifier.mailbox().clone();
        Some(Letter { message, mailbox })
    }

    pub(super) fn send(&self, news: Vec<Message>) {
        let Some(open) = &self.open else { return };
        for message in news {
            open.notifier.mailbox().send(message);
        }
    }

    /// Lets what waits still go out, for a few seconds.
    pub(super) async fn finish(&mut self) {
        if let Some(open) = self.open.take() {
            open.notifier.finish(GRACE).await;
        }
    }
}

/// Notes the incident in the message that judges an action for `cause`.
pub(super) fn note_incident(news: &mut [Message], cause: Cause, incident: Option<String>) {
    let judged = |m: &&mut Message| m.kind == Kind::Judged && m.cause == Some(cause);
    if let Some(message) = news.iter_mut().find(judged) {
        message.incident = incident;
    }
}

impl Open {
    fn message(&self, news: News, machine: &Machine) -> Message {
        let News {
            kind,
            cause,
            action,
            helped,
        } = news;
        let is_wrong = kind != Kind::Over && helped != Some(true);
        let text = if is_wrong {
            machine.explain(cause)
        } else {
            String::new()
        };
        Message {
            at: Timestamp::now(),
            kind,
            host: self.host.clone(),
            container: self.config.collator.container.clone(),
            cause: Some(cause),
            severity: is_wrong.then(|| machine.severity(cause)),
            health: machine.health(),
            text: recorder::redacted(&text, &secrets(&self.config, &self.docker)),
            action,
            incident: None,
            helped,
        }
    }
}
