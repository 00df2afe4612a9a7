//! What EC2 tells, on its way to the core, to the status and back to the auto scaling group.

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::info;

use agent_aws::{self, Hook, News};
use agent_config::{Config, show_duration};
use agent_core::event::Event;
use agent_core::machine::Machine;
use agent_core::status;

/// Another address of an API, from where the AWS command line and libraries look for one.
pub(super) fn endpoint(service: &str) -> Option<String> {
    let names = [&format!("AWS_ENDPOINT_URL_{service}"), "AWS_ENDPOINT_URL"];
    let url = names.into_iter().find_map(|name| std::env::var(name).ok());
    url.filter(|url| !url.is_empty())
}

/// The tasks that talk to EC2, and what they told.
pub(super) struct Ec2 {
    news: mpsc::Receiver<News>,
    released: watch::Sender<Option<bool>>,
    instance: Option<String>,
    unseen: Option<String>,
    tasks: Vec<JoinHandle<()>>,
}

impl Ec2 {
    pub(super) fn start(config: &Config) -> Self {
        let (sender, news) = mpsc::channel(8);
        let released = watch::Sender::new(None);
        let mut tasks = vec![tokio::spawn(agent_aws::watch(config.ec2.clone(), sender))];
        if let Some(name) = config
            .ec2
            .lifecycle_hook
            .clone()
            .filter(|_| config.ec2.enabled != Some(false))
        {
            let hook = Hook {
                name,
                imds: config.ec2.imds.clone(),
                endpoint: endpoint("AUTO_SCALING"),
                stop_timeout: config.collator.stop_timeout,
            };
            tasks.push(tokio::spawn(agent_aws::release(hook, released.subscribe())));
        }
        Self {
            news,
            released,
            instance: None,
            unseen: None,
            tasks,
        }
    }

    /// What is new; pending for ever when nothing more will be.
    pub(super) async fn next(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    /// What the core learns from it.
    pub(super) fn event(&mut self, news: News, machine: &Machine) -> Option<Event> {
        match news {
            News::Instance { id } => {
                self.instance = Some(id);
                None
            }
            News::Unseen(why) => {
                self.unseen = why;
                None
            }
            News::Notice(None) if machine.notice().is_none() => None,
            News::Notice(notice) => {
                info!(?notice, "EC2");
                Some(Event::Ec2(notice))
            }
        }
    }

    /// Lets the group know how far the collator's end is.
    pub(super) fn publish(&self, machine: &Machine, given_back: bool) {
        let released = machine.released().map(|down| down && given_back);
        self.released
            .send_if_modified(|last| std::mem::replace(last, released) != released);
    }

    /// As status shows it; `None` off EC2.
    pub(super) fn status(&self, machine: &Machine) -> Option<status::Ec2> {
        let notice = machine.notice().map(|(kind, left)| {
            let left = left.map(|left| std::time::Duration::from_secs(left.as_secs()));
            let left = left
                .map(|left| format!(" in {}", show_duration(left)))
                .unwrap_or_default();
            format!("{}{left}", kind.name().replace('_', " "))
        });
        let known = self.instance.is_some() || notice.is_some();
        known.then(|| status::Ec2 {
            instance_id: self.instance.clone(),
            notice,
            unseen: self.unseen.clone(),
        })
    }
}

impl Drop for Ec2 {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
