//! The word to the auto scaling group: not yet while the collator stops, and then that the instance may go.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch::Receiver;
use tracing::{info, warn};
use url::Url;

use super::api::{AUTO_SCALING, Api, Failed, element};
use super::credentials::Credentials;
use super::imds::{Imds, Unknown};
use crate::backoff::jitter;

/// Between two heartbeats: the shortest timeout that a hook can have is 30 s.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// The first and the longest wait after a call that failed.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// Beyond the collator's own stop timeout, the group is kept waiting no longer: something is wrong that waiting does
/// not mend, and the hook's own timeout decides.
const PATIENCE: Duration = Duration::from_mins(10);

/// Which lifecycle action is answered.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) name: String,
    /// Base URI of the metadata service.
    pub(crate) imds: String,
    /// The API's address where it is not the region's own.
    pub(crate) endpoint: Option<String>,
    /// What the collator's stop may take.
    pub(crate) stop_timeout: Duration,
}

/// Why a call could not be made or was not carried out.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Unknown(#[from] Unknown),
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// The instance, its group and the API.
#[derive(Debug)]
struct Group {
    api: Api,
    instance: String,
    name: String,
}

struct Session {
    hook: Hook,
    imds: Imds,
    credentials: Option<Credentials>,
    group: Option<Group>,
}

/// Answers the group for as long as the agent lives. `released` says whether the instance may go; `None` while the
/// group does not want it.
pub(crate) async fn release(hook: Hook, mut released: Receiver<Option<bool>>) {
    loop {
        if released.wait_for(Option::is_some).await.is_err() {
            return;
        }
        let imds = Imds::new(&hook.imds);
        let session = Session {
            hook: hook.clone(),
            imds,
            credentials: None,
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
        let mut retry = RETRY.0;
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
                    retry = RETRY.0;
                    HEARTBEAT
                }
                Err(Trouble::Failed(Failed::NoAction(why))) => {
                    info!(why, hook = self.hook.name, "nothing to answer");
                    return Some(());
                }
                Err(trouble) => {
                    warn!(why = %trouble, hook = self.hook.name, "the auto scaling group was not told");
                    self.forget(&trouble);
                    let wait = jitter(retry);
                    retry = (retry * 2).min(RETRY.1);
                    wait
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
        let credentials = self.credentials().await?;
        let group = match self.group.take() {
            Some(group) => group,
            None => self.find_group(&credentials).await?,
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
        group.api.call(&credentials, action, &params).await?;
        Ok(())
    }

    async fn credentials(&mut self) -> Result<Credentials, Unknown> {
        let now = Timestamp::now();
        if let Some(credentials) = self.credentials.as_ref().filter(|c| c.hold(now)) {
            return Ok(credentials.clone());
        }
        let credentials = Credentials::get(&mut self.imds).await?;
        Ok(self.credentials.insert(credentials).clone())
    }

    /// The group's name is among the instance's tags where the metadata service may tell them; the API knows it too.
    async fn find_group(&mut self, credentials: &Credentials) -> Result<Group, Trouble> {
        let instance = self.need("meta-data/instance-id").await?;
        let region = self.need("meta-data/placement/region").await?;
        let endpoint = if let Some(endpoint) = &self.hook.endpoint {
            endpoint.clone()
        } else {
            let domain = self.need("meta-data/services/domain").await?;
            format!("https://autoscaling.{region}.{domain}/")
        };
        let endpoint = Url::parse(&endpoint).map_err(|e| Failed::Refused(format!("{endpoint} is no URL: {e}")))?;
        let api = Api::new(endpoint, &region, AUTO_SCALING);
        let tagged = self
            .imds
            .get("meta-data/tags/instance/aws:autoscaling:groupName")
            .await?;
        let name = if let Some(name) = tagged.filter(|name| !name.is_empty()) {
            name
        } else {
            let params = [("InstanceIds.member.1", instance.as_str())];
            let xml = api.call(credentials, "DescribeAutoScalingInstances", &params).await?;
            let none = || Failed::Refused(format!("{instance} is in no auto scaling group"));
            element(&xml, "AutoScalingGroupName").ok_or_else(none)?
        };
        Ok(Group { api, instance, name })
    }

    async fn need(&mut self, path: &str) -> Result<String, Unknown> {
        let found = self.imds.get(path).await?;
        found.ok_or_else(|| Unknown::Trouble(format!("there is no {path}")))
    }

    /// What may have been wrong is asked for anew.
    fn forget(&mut self, trouble: &Trouble) {
        if !matches!(trouble, Trouble::Failed(Failed::Passing(_))) {
            self.credentials = None;
        }
    }
}
