//! The word to the auto scaling group: not yet while the collator stops, and then that the instance may go.

use std::time::{Duration, Instant};

use tokio::sync::watch::Receiver;
use tracing::{info, warn};

use super::api::{AUTO_SCALING, Failed};
use super::caller::{Caller, Trouble};
use super::transport::element;
use agent_net::backoff::pauses;

/// Between two heartbeats: the shortest timeout that a hook can have is 30 s.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// The first and the longest wait after a call that failed.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// Beyond the collator's own stop timeout, the group is kept waiting no longer: something is wrong that waiting does
/// not mend, and the hook's own timeout decides.
const PATIENCE: Duration = Duration::from_mins(10);

/// Which lifecycle action is answered.
#[derive(Debug, Clone)]
pub struct Hook {
    pub name: String,
    /// Base URI of the metadata service.
    pub imds: String,
    /// The API's address where it is not the region's own.
    pub endpoint: Option<String>,
    /// What the collator's stop may take.
    pub stop_timeout: Duration,
}

/// The instance and its group.
#[derive(Debug)]
struct Group {
    instance: String,
    name: String,
}

struct Session {
    hook: Hook,
    caller: Caller,
    group: Option<Group>,
}

/// Answers the group for as long as the agent lives. `released` says whether the instance may go; `None` while the
/// group does not want it.
pub async fn release(hook: Hook, mut released: Receiver<Option<bool>>) {
    loop {
        if released.wait_for(Option::is_some).await.is_err() {
            return;
        }
        let session = Session {
            caller: Caller::new(AUTO_SCALING, &hook.imds, hook.endpoint.clone()),
            hook: hook.clone(),
            group: None,
        };
        if session.answer(&mut released).await.is_none() {
            return;
        }
        // Answered, or given up: until it is called off and wanted anew.
        if released.wait_for(Option::is_none).await.is_err() {
            return;
        }
    }
}

impl Session {
    /// `None` when the agent stops.
    async fn answer(mut self, released: &mut Receiver<Option<bool>>) -> Option<()> {
        let (began, patience) = (Instant::now(), self.hook.stop_timeout + PATIENCE);
        let mut retry = pauses(RETRY.0, RETRY.1);
        loop {
            // Called off: nobody waits for an answer.
            let Some(free) = *released.borrow_and_update() else {
                return Some(());
            };
            let wait = match self.say(free).await {
                Ok(()) if free => {
                    info!(hook = self.hook.name, "the auto scaling group may take the instance");
                    return Some(());
                }
                Ok(()) => {
                    retry = pauses(RETRY.0, RETRY.1);
                    HEARTBEAT
                }
                Err(Trouble::Failed(Failed::NoAction(why))) => {
                    info!(why, hook = self.hook.name, "nothing to answer");
                    return Some(());
                }
                Err(trouble) => {
                    warn!(why = %trouble, hook = self.hook.name, "the auto scaling group was not told");
                    retry.next().unwrap_or(RETRY.1)
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

    /// Tells the group that the instance may go, or that it needs more time.
    async fn say(&mut self, free: bool) -> Result<(), Trouble> {
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
        self.caller.call(action, &params).await?;
        Ok(())
    }

    /// The group's name is among the instance's tags where the metadata service may tell them; the API knows it too.
    async fn find_group(&mut self) -> Result<Group, Trouble> {
        let instance = self.caller.instance().await?;
        let tag = "meta-data/tags/instance/aws:autoscaling:groupName";
        let tagged = self.caller.role.imds.get(tag).await?;
        let name = if let Some(name) = tagged.filter(|name| !name.is_empty()) {
            name
        } else {
            let params = [("InstanceIds.member.1", instance.as_str())];
            let xml = self.caller.call("DescribeAutoScalingInstances", &params).await?;
            let none = || Failed::Refused(format!("{instance} is in no auto scaling group"));
            element(&xml, "AutoScalingGroupName").ok_or_else(none)?
        };
        Ok(Group { instance, name })
    }
}
