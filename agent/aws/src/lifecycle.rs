//! Answers the auto scaling group's lifecycle hook: heartbeats while the collator stops, then its completion.
//!
//! No error ends the answering before the hook's own time is over, not even that there is no such action: an action becomes
//! active in the API after the metadata service announces it.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::watch::Receiver;
use tracing::{info, warn};

use super::api::{AUTO_SCALING, ApiError};
use super::client::{AwsClient, CallError};
use super::consistency::{ErrorClass, PAUSE, Patience, UNANSWERED};
use super::transport::element;
use super::watch::MetadataEvent;
use agent_net::backoff::pauses;
use agent_runtime::Instant;

/// Interval of heartbeats; the shortest timeout of a hook is 30 s.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// The first and the longest wait after a failed call.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// How long beyond the collator's stop timeout heartbeats are sent; after that, the hook's own timeout decides.
const GIVE_UP_AFTER: Duration = Duration::from_mins(10);

/// The lifecycle hook to answer.
#[derive(Debug, Clone)]
pub struct LifecycleHook {
    pub name: String,
    /// Base URI of the metadata service.
    pub imds: String,
    /// The API's URL where it is not the region's own.
    pub endpoint: Option<String>,
    /// Longest time that the collator's stop may take.
    pub stop_timeout: Duration,
}

/// The instance and its group.
#[derive(Debug)]
struct Group {
    instance: String,
    name: String,
}

/// One lifecycle action under way.
struct LifecycleAction {
    hook: LifecycleHook,
    client: AwsClient,
    group: Option<Group>,
    /// The error that was logged last.
    logged: String,
    /// Since when every call has failed.
    failing: Patience,
    /// The error that was sent last.
    shown: Option<String>,
    events: Sender<MetadataEvent>,
}

/// Answers the hook until `released` is closed: whether the instance may be terminated, `None` while no termination is
/// pending. Sends [`MetadataEvent::HookUnanswered`].
pub async fn release(hook: LifecycleHook, mut released: Receiver<Option<bool>>, events: Sender<MetadataEvent>) {
    loop {
        if released.wait_for(Option::is_some).await.is_err() {
            return;
        }
        let mut action = LifecycleAction {
            client: AwsClient::new(AUTO_SCALING, &hook.imds, hook.endpoint.clone()),
            hook: hook.clone(),
            group: None,
            logged: String::new(),
            failing: Patience::new(UNANSWERED),
            shown: None,
            events: events.clone(),
        };
        if action.answer(&mut released).await.is_none() {
            return;
        }
        // Answered or given up: the next action begins after this one is cancelled.
        if released.wait_for(Option::is_none).await.is_err() {
            return;
        }
        action.show(None).await;
    }
}

impl LifecycleAction {
    /// `None` when the agent stops.
    async fn answer(&mut self, released: &mut Receiver<Option<bool>>) -> Option<()> {
        let (began, patience) = (Instant::now(), self.hook.stop_timeout + GIVE_UP_AFTER);
        let (mut retry, mut again) = (pauses(RETRY.0, RETRY.1), pauses(PAUSE.0, PAUSE.1));
        loop {
            // Cancelled: no answer is expected.
            let Some(free) = *released.borrow_and_update() else {
                return Some(());
            };
            let wait = match self.send(free).await {
                Ok(()) if free => {
                    self.show(None).await;
                    info!(hook = self.hook.name, "the auto scaling group may take the instance");
                    return Some(());
                }
                Ok(()) => {
                    self.show(None).await;
                    self.failing.reset();
                    self.logged.clear();
                    retry = pauses(RETRY.0, RETRY.1);
                    HEARTBEAT
                }
                Err(error) => {
                    self.report(&error).await;
                    match error.class() {
                        // The target state is known here before the action is active in the API.
                        ErrorClass::Unsettled => again.next().unwrap_or(PAUSE.1),
                        _ => retry.next().unwrap_or(RETRY.1),
                    }
                }
            };
            if began.elapsed() > patience {
                warn!(hook = self.hook.name, "given up: the hook's own timeout decides now");
                return Some(());
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = released.changed() => changed.ok()?,
            }
        }
    }

    /// Logs a failed call, and not the same error again. A refusal is shown at once, another error after a while.
    async fn report(&mut self, error: &CallError) {
        let text = error.to_string();
        let is_shown = self.failing.is_over() || error.class() == ErrorClass::Permanent;
        if self.logged != text {
            warn!(
                error = text,
                hook = self.hook.name,
                "the call to the auto scaling group failed, and is made again"
            );
            self.logged.clone_from(&text);
        }
        if is_shown {
            self.show(Some(text)).await;
        }
    }

    async fn show(&mut self, error: Option<String>) {
        if self.shown != error {
            self.shown.clone_from(&error);
            // The receiver is closed when the agent stops.
            drop(self.events.send(MetadataEvent::HookUnanswered(error)).await);
        }
    }

    /// Completes the action where the instance is `free`, or else sends a heartbeat.
    async fn send(&mut self, free: bool) -> Result<(), CallError> {
        let group = match self.group.take() {
            Some(group) => group,
            None => self.find_group().await?,
        };
        let group = self.group.insert(group);
        let mut params = vec![
            ("AutoScalingGroupName", group.name.as_str()),
            ("InstanceId", &group.instance),
            ("LifecycleHookName", &self.hook.name),
        ];
        let action = if free {
            params.push(("LifecycleActionResult", "CONTINUE"));
            "CompleteLifecycleAction"
        } else {
            "RecordLifecycleActionHeartbeat"
        };
        self.client.call(action, &params).await?;
        Ok(())
    }

    /// The group's name from the instance's tags where the metadata service exposes them, or else from the API.
    async fn find_group(&mut self) -> Result<Group, CallError> {
        let instance = self.client.instance().await?;
        let tag = "meta-data/tags/instance/aws:autoscaling:groupName";
        let tagged = self.client.role.imds.get_again(tag).await?;
        let name = if let Some(name) = tagged.filter(|name| !name.is_empty()) {
            name
        } else {
            let params = [("InstanceIds.member.1", instance.as_str())];
            let xml = self.client.call("DescribeAutoScalingInstances", &params).await?;
            let text = || format!("{instance} is in no auto scaling group");
            let not_grouped = || ApiError::new(ErrorClass::Unsettled, text());
            element(&xml, "AutoScalingGroupName").ok_or_else(not_grouped)?
        };
        Ok(Group { instance, name })
    }
}
