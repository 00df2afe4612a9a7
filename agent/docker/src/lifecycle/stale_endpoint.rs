//! The network endpoint of an earlier container of the same name, which Docker kept: containerd or Docker was killed meanwhile.

use bollard::models::NetworkDisconnectRequest;
use tracing::warn;

use crate::error::layers::layers;
use crate::{Docker, Error};

/// The network with such an endpoint, if a start failed for it.
pub(super) fn network(error: &Error) -> Option<String> {
    let Error::Api { reason, .. } = error else { return None };
    let text = layers(reason)
        .into_iter()
        .find(|part| part.starts_with("endpoint with name "))?;
    let (_, network) = text.split_once(" already exists in network ")?;
    Some(network.to_owned())
}

impl Docker {
    /// Removes the container that could not start, and then the endpoint: as long as there is a container of that name, Docker
    /// looks for an endpoint of that one.
    pub(super) async fn free_endpoint(&self, id: &str, network: &str) -> Result<(), Error> {
        let name = self.spec.name();
        warn!(
            container = name,
            network, "docker kept the network endpoint of an earlier container, removing it"
        );
        self.remove(id, true).await?;
        let request = NetworkDisconnectRequest {
            container: name.to_owned(),
            force: Some(true),
        };
        let engine = self.engine().await?;
        let answer = engine.disconnect_network(network, request);
        match self
            .within("remove the network endpoint", self.limits.change, answer)
            .await
        {
            // It is gone.
            Err(error) if error.status() == Some(404) => Ok(()),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_is_the_one_that_docker_names() {
        let error = |reason: &str| Error::Api {
            action: "start the container",
            status: Some(500),
            reason: reason.to_owned(),
        };
        let text = "endpoint with name t0rn-collator already exists in network bridge";
        assert_eq!(network(&error(text)).as_deref(), Some("bridge"));
        let wrapped = format!("failed to set up container networking: {text}");
        assert_eq!(network(&error(&wrapped)).as_deref(), Some("bridge"));
        assert_eq!(network(&error("network 0f3c not found")), None);
        assert_eq!(network(&Error::KeysNotPermitted), None);
    }
}
