//! The EC2 tasks: metadata polling, and the answer to the lifecycle hook.

use agent_aws::{LifecycleHook, MetadataEvent};
use agent_config::Config;
use agent_core::event::LifecycleAnswer;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Events that wait for the event loop.
const QUEUE: usize = 8;

/// An endpoint override from the environment variables of the AWS CLI and SDKs.
pub(super) fn endpoint(service: &str) -> Option<String> {
    let names = [&format!("AWS_ENDPOINT_URL_{service}"), "AWS_ENDPOINT_URL"];
    let url = names.into_iter().find_map(|name| std::env::var(name).ok());
    url.filter(|url| !url.is_empty())
}

/// Handle of the tasks.
pub(super) struct Ec2Handle {
    released: watch::Sender<Option<bool>>,
    /// Aborted when dropped.
    _tasks: JoinSet<()>,
}

impl Ec2Handle {
    /// Starts the polling, and with `ec2.lifecycle_hook` the task that answers it.
    pub(super) fn start(config: &Config) -> (Self, mpsc::Receiver<MetadataEvent>) {
        let (sender, events) = mpsc::channel(QUEUE);
        let released = watch::Sender::new(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(agent_aws::watch(config.ec2.clone(), sender.clone()));
        let hook = config.ec2.lifecycle_hook.clone();
        if let Some(name) = hook.filter(|_| config.ec2.enabled != Some(false)) {
            let hook = LifecycleHook {
                name,
                imds: config.ec2.imds.clone(),
                endpoint: endpoint("AUTO_SCALING"),
                stop_timeout: config.collator.stop_timeout,
            };
            tasks.spawn(agent_aws::release(hook, released.subscribe(), sender));
        }
        (
            Self {
                released,
                _tasks: tasks,
            },
            events,
        )
    }

    /// Answers the group; `None` when it no longer waits.
    pub(super) fn answer(&self, answer: Option<LifecycleAnswer>) {
        self.released
            .send_replace(answer.map(|answer| answer == LifecycleAnswer::Complete));
    }
}
