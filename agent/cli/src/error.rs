//! Usage errors, and the exit code of any error.

use std::error::Error;
use std::path::PathBuf;

use agent_config::ConfigError;
use agent_daemon::api::ClientError;
use agent_daemon::notify::DeliveryError;

use crate::output::OutputClosed;

/// A wrong command line that only the command itself can find.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error("{0}")]
    Unusable(String),
    #[error("{} is no directory; name the data directory, in which bake.json lies", .0.display())]
    NoDataDirectory(PathBuf),
    #[error("--deadline has to be longer than --credible: before that, no bake is done")]
    DeadlineTooShort,
}

/// A value on the command line that is refused, with what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ArgumentError(pub(crate) String);

/// Exit code of an error: 2 for usage and configuration, 3 for an unreachable agent, else 1. 0, and then the error is not
/// to be printed, when the reader of the output has gone.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<OutputClosed>() {
        0
    } else if error.chain().any(<dyn Error>::is::<ConfigError>)
        || error.is::<UsageError>()
        || matches!(error.downcast_ref(), Some(ClientError::WrongConfig(_)))
        || matches!(error.downcast_ref(), Some(DeliveryError::NotConfigured))
    {
        2
    } else if error
        .chain()
        .any(|e| e.downcast_ref().is_some_and(ClientError::is_unreachable))
    {
        3
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use agent_config::Config;

    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        let missing = PathBuf::from("/x");
        let config = Config::parse("", "test").unwrap_err();
        for (error, code) in [
            (anyhow::Error::new(OutputClosed), 0),
            (anyhow::anyhow!("anything"), 1),
            (ClientError::Refused("no".into()).into(), 1),
            (ClientError::WrongConfig("agent.toml:2: no".into()).into(), 2),
            (anyhow::Error::new(config).context("outer"), 2),
            (UsageError::DeadlineTooShort.into(), 2),
            (anyhow::Error::new(ClientError::Missing(missing)).context("outer"), 3),
        ] {
            assert_eq!(exit_code(&error), code, "{error:#}");
        }
    }
}
