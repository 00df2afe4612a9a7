//! A container of ours under another name (`docker rename`): it is found by its labels, so that no second one is started.

use std::collections::HashMap;
use std::sync::PoisonError;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as State};
use bollard::query_parameters::ListContainersOptionsBuilder;
use tracing::debug;

use super::InspectedContainer;
use crate::spec::{MANAGED, NAME};
use crate::{Docker, Error};

impl Docker {
    /// The container that was created with the configured name and bears another one now, the running one first.
    ///
    /// Fails when the engine does not answer.
    pub(super) async fn find_renamed(&self) -> Result<Option<InspectedContainer>, Error> {
        self.note_renamed(None);
        let labels = vec![format!("{MANAGED}=true"), format!("{NAME}={}", self.spec.name())];
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&HashMap::from([("label", labels)]))
            .build();
        let listed = match self.containers(options).await {
            Ok(listed) => listed,
            Err(error @ Error::Unreachable { .. }) => return Err(error),
            // One container that Docker cannot describe makes it refuse the list.
            Err(error) => {
                debug!(%error, "unknown whether the container has another name");
                return Ok(None);
            }
        };
        let mut ours: Vec<ContainerSummary> = listed.into_iter().filter(|found| self.is_renamed(found)).collect();
        ours.sort_by_key(|found| found.state != Some(State::RUNNING));
        let Some(id) = ours.into_iter().find_map(|found| found.id) else {
            return Ok(None);
        };
        let Some(answer) = self.look_at_container(&id).await? else {
            return Ok(None);
        };
        self.note_renamed(Some(id));
        self.note_variables(&answer);
        Ok(Some(InspectedContainer::new(answer, &self.spec)))
    }

    /// Whether a listed container is one of those, whatever the engine made of the filter.
    fn is_renamed(&self, found: &ContainerSummary) -> bool {
        let labels = found.labels.as_ref();
        let has = |label: &str, value: &str| labels.is_some_and(|all| all.get(label).is_some_and(|text| text == value));
        has(MANAGED, "true") && has(NAME, self.spec.name())
    }

    /// How the engine is asked for the container: by its name, or by the id of one that was renamed.
    pub(crate) fn reference(&self) -> String {
        let renamed = self.shared.renamed.lock().unwrap_or_else(PoisonError::into_inner);
        renamed.clone().unwrap_or_else(|| self.spec.name().to_owned())
    }

    pub(super) fn note_renamed(&self, id: Option<String>) {
        *self.shared.renamed.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }
}
