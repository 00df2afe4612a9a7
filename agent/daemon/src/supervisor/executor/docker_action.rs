//! One action on the container.

use std::time::Duration;

use agent_core::event::DesiredSpec;
use agent_core::machine::{Action, Cause};
use agent_docker::{Docker, Error, Inspection, KeyPermit};

/// Carries out `action` on the container; after a stop, the container is compared with `desired`.
pub(super) async fn execute(
    docker: &Docker,
    action: &Action,
    desired: &DesiredSpec,
    keys: &KeyPermit,
) -> Result<Inspection, Error> {
    match action {
        // The old container runs on until the new image is available.
        Action::Start { spec, .. }
        | Action::Restart {
            cause: Cause::SpecChanged,
            spec,
        } => docker.asked_for(spec)?.ensure_running(keys).await,
        Action::Restart { spec, .. } => docker.asked_for(spec)?.restart(keys).await,
        Action::StopWithin { seconds, .. } => {
            let limit = Duration::from_secs(*seconds);
            docker.asked_for(desired)?.stop_within(limit).await
        }
        _ => docker.asked_for(desired)?.stop().await,
    }
}

/// An error with its causes in one line.
pub(super) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}
