//! The container that an operator ran before the agent, for `t0rn-agent takeover`: the few things that are done to it.
//! Nothing here touches a container with the agent's label.

use std::fmt;

use bollard::models::{ContainerUpdateBody, RestartPolicy as EnginePolicy, RestartPolicyNameEnum};
use bollard::query_parameters::RenameContainerOptionsBuilder;
use serde::{Deserialize, Serialize};

use crate::error::layers::{has, layers};
use crate::lifecycle::SETTLE;
use crate::{Docker, Error, ExistingContainer};

/// What Docker takes for `StopTimeout` where a container has none, seconds.
const DEFAULT_STOP_SECONDS: i64 = 10;
/// How often runc is asked about a container that has just ended, before Docker knows.
const ENDING: u32 = 20;
/// Follows the name of a container that was taken over.
pub const KEPT_SUFFIX: &str = "-before-t0rn-agent";

/// The name by which `takeover` knows a container: a kept one had it before.
pub fn takeover_name(name: &str) -> &str {
    name.strip_suffix(KEPT_SUFFIX).unwrap_or(name)
}

/// Docker's restart policy of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// `no`, `always`, `unless-stopped` or `on-failure`.
    pub name: String,
    /// With `on-failure`; 0 is without a limit.
    pub max_retries: i64,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self::no()
    }
}

/// As `docker run --restart` takes it.
impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.max_retries > 0 {
            write!(f, ":{}", self.max_retries)?;
        }
        Ok(())
    }
}

impl RestartPolicy {
    /// Docker starts nothing by itself.
    pub fn no() -> Self {
        Self {
            name: "no".to_owned(),
            max_retries: 0,
        }
    }

    pub(crate) fn from_engine(policy: Option<EnginePolicy>) -> Self {
        let policy = policy.unwrap_or_default();
        match policy.name {
            None | Some(RestartPolicyNameEnum::EMPTY) => Self::no(),
            Some(name) => Self {
                name: name.to_string(),
                max_retries: policy.maximum_retry_count.unwrap_or(0),
            },
        }
    }

    fn to_engine(&self) -> EnginePolicy {
        let name = match self.name.as_str() {
            "always" => RestartPolicyNameEnum::ALWAYS,
            "unless-stopped" => RestartPolicyNameEnum::UNLESS_STOPPED,
            "on-failure" => RestartPolicyNameEnum::ON_FAILURE,
            _ => RestartPolicyNameEnum::NO,
        };
        EnginePolicy {
            name: Some(name),
            // Refused with any other policy.
            maximum_retry_count: (name == RestartPolicyNameEnum::ON_FAILURE).then_some(self.max_retries),
        }
    }
}

impl Docker {
    pub async fn rename_predecessor(&self, predecessor: &ExistingContainer, name: &str) -> Result<(), Error> {
        require_unmanaged(predecessor)?;
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        let engine = self.engine().await?;
        let renamed = engine.rename_container(&predecessor.id, options);
        self.within("rename the container", self.limits.change, renamed).await
    }

    pub async fn set_predecessor_policy(
        &self,
        predecessor: &ExistingContainer,
        policy: &RestartPolicy,
    ) -> Result<(), Error> {
        require_unmanaged(predecessor)?;
        let update = ContainerUpdateBody {
            restart_policy: Some(policy.to_engine()),
            ..ContainerUpdateBody::default()
        };
        let engine = self.engine().await?;
        let mut left = ENDING;
        loop {
            let updated = engine.update_container(&predecessor.id, update.clone());
            let done = self.within("change the restart policy", self.limits.change, updated);
            match done.await {
                Err(Error::Api { reason, .. }) if left > 0 && has(&layers(&reason), &["container not running"]) => {
                    left -= 1;
                    tokio::time::sleep(SETTLE).await;
                }
                done => return done,
            }
        }
    }

    /// SIGTERM, and SIGKILL after its own stop timeout or `collator.stop_timeout`, whichever is longer.
    pub async fn stop_predecessor(&self, predecessor: &ExistingContainer) -> Result<(), Error> {
        require_unmanaged(predecessor)?;
        let seconds = own_stop_seconds(predecessor).max(self.spec.stop_seconds());
        self.halt_in(&predecessor.id, seconds).await
    }

    /// Starts it as it is. The caller has made sure that nothing else has its data.
    pub async fn start_predecessor(&self, predecessor: &ExistingContainer) -> Result<(), Error> {
        require_unmanaged(predecessor)?;
        let engine = self.engine().await?;
        let started = engine.start_container(&predecessor.id, None);
        self.within("start the container", self.limits.change, started).await
    }

    /// Id of the configured image on this host; `None` when it is not here.
    ///
    /// Fails when the engine does not answer, and when the reference cannot be used.
    pub async fn configured_image_id(&self) -> Result<Option<String>, Error> {
        let reference = agent_config::ImageReference::parse(&self.spec.collator.image);
        match self.local_image(&reference).await? {
            Some(pin) => self.image_id(&pin).await,
            None => Ok(None),
        }
    }
}

/// A negative time is without end.
fn own_stop_seconds(predecessor: &ExistingContainer) -> i32 {
    let own = predecessor.stop_timeout.unwrap_or(DEFAULT_STOP_SECONDS);
    i32::try_from(own).ok().filter(|own| *own >= 0).unwrap_or(i32::MAX)
}

/// The agent's own containers are started and stopped in `lifecycle` alone.
fn require_unmanaged(predecessor: &ExistingContainer) -> Result<(), Error> {
    if predecessor.is_ours {
        return Err(Error::Api {
            action: "take the container over",
            status: None,
            reason: format!("{} is the agent's already", predecessor.name),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_tries_goes_with_on_failure_alone() {
        let policy = |name: &str, max_retries| RestartPolicy {
            name: name.to_owned(),
            max_retries,
        };
        let limited = policy("on-failure", 4);
        assert_eq!(limited.to_engine().maximum_retry_count, Some(4));
        assert_eq!(RestartPolicy::from_engine(Some(limited.to_engine())), limited);
        assert_eq!(limited.to_string(), "on-failure:4");
        assert_eq!(policy("always", 0).to_engine().maximum_retry_count, None);
        assert_eq!(policy("always", 0).to_string(), "always");
        for none in [None, Some(EnginePolicy::default())] {
            assert_eq!(RestartPolicy::from_engine(none), RestartPolicy::no());
        }
    }

    #[test]
    fn stop_waits_for_as_long_as_the_container_was_given() {
        for (given, wanted) in [(None, 10), (Some(0), 0), (Some(90), 90), (Some(-1), i32::MAX)] {
            let container = ExistingContainer {
                stop_timeout: given,
                ..ExistingContainer::default()
            };
            assert_eq!(own_stop_seconds(&container), wanted);
        }
    }

    #[test]
    fn container_with_the_agents_label_is_refused() {
        let theirs = ExistingContainer::default();
        let ours = ExistingContainer {
            is_ours: true,
            ..theirs.clone()
        };
        assert!(require_unmanaged(&ours).is_err());
        assert!(require_unmanaged(&theirs).is_ok());
    }
}
