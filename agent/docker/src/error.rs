//! What can go wrong with Docker, by what can be done about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bollard::errors::Error as EngineError;

use agent_core::event::ActionFailure;
use agent_core::units::show_duration;
use agent_net::http;

use crate::image::network_remedy;
use crate::predecessor::takeover_name;

pub(crate) mod layers;

/// Why Docker did not do what was asked. Every message names the thing and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine gave no answer: its socket is missing or refuses, the connection broke, it hangs.
    #[error("docker at {socket} does not answer: {reason}")]
    Unreachable {
        socket: String,
        reason: String,
        /// Whether the connection held and no answer came in time.
        hangs: bool,
    },
    /// The engine answers, but not to this: it locks a container while it works on it.
    #[error(
        "docker could not {action} within {}, though it answers otherwise; it is busy with the container or \
         its disk",
        show_duration(*limit)
    )]
    Busy { action: &'static str, limit: Duration },
    /// A container of that name exists and is not ours.
    #[error(
        "container {name} was not created by t0rn-agent and is left alone; a collator on {data} is taken over by \
         `t0rn-agent takeover {name}`, any other is renamed or removed: `docker rename {name} {name}-old`"
    )]
    Foreign { name: String, data: String },
    /// Another container that is not ours to stop has the data directory or a keystore.
    #[error(
        "container {name} uses {path} too, and two collators on one data directory or keystore do harm; \
         `t0rn-agent takeover {}`, or `docker stop {name}` first",
        takeover_name(name)
    )]
    Occupied { name: String, path: String },
    #[error("image {image}: {fault}")]
    Image { image: String, fault: ImageFault },
    #[error("image {image} cannot be started: {reason}; check collator.command and the image's entrypoint")]
    Executable { image: String, reason: String },
    #[error("network {name} does not exist; `docker network create {name}`, or correct collator.network")]
    Network { name: String },
    #[error("a published port is taken: {reason}; find its owner with `ss -lntup`, or change collator.ports")]
    PortTaken { reason: String },
    /// Docker lost a process of the container, which may be a collator that goes on.
    #[error(
        "process {process} of this container goes on although docker lost it, and another collator beside it does harm; \
         as root: `kill {process}`"
    )]
    LostTask { process: u32 },
    /// The identity was lost between the decision and the call.
    #[error("the identity is not held any more, so nothing is started with its keys")]
    KeysNotPermitted,
    /// There is nothing to run without the keys.
    #[error("no full node can be derived from the configuration: {reason}")]
    FullNode { reason: String },
    /// A directory on the host that the container needs cannot be used.
    #[error("{}: {reason}", path.display())]
    Path { path: PathBuf, reason: String },
    /// The engine answered, and declined.
    #[error("docker could not {action}: {reason}")]
    Api {
        action: &'static str,
        /// HTTP status, where the engine sent one.
        status: Option<u16>,
        reason: String,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum ImageFault {
    #[error("the registry refused the login ({0}); check the username and password in collator.registry_auth")]
    Unauthorized(String),
    #[error("the registry does not know it ({0}); check collator.image, and collator.registry_auth if it is private")]
    NotFound(String),
    #[error(
        "the registry sent nothing for {}; check the network and the registry, the next attempt goes on \
         where this one stopped",
        show_duration(*.0)
    )]
    Timeout(Duration),
    #[error("the registry cannot be reached ({0}); {remedy}, or load the image with `docker load`", remedy = network_remedy(.0))]
    Registry(String),
    #[error(
        "the registry allows no more pulls for now ({0}); wait (Docker Hub counts six hours), log in with \
         collator.registry_auth, or pull through a mirror (registry-mirrors of the engine, a pull-through cache of ECR)"
    )]
    RateLimited(String),
    #[error(
        "what came does not have the pinned digest ({0}); do not run it: check the digest in collator.image \
         and who pushed it"
    )]
    Digest(String),
    #[error(
        "a part of it arrived damaged ({0}); the next attempt downloads it again, if that happens again check the \
         proxies between this host and the registry"
    )]
    Damaged(String),
    #[error(
        "its layers could not be unpacked ({0}); this is not about the login: check docker's storage driver, its disk \
         and security modules (`docker info`, `journalctl -u docker`)"
    )]
    Unpack(String),
    #[error(
        "docker's own store lacks a part of it ({0}); `docker image rm` what is there of it and pull again, or switch \
         containerd's store off: `\"features\": {{\"containerd-snapshotter\": false}}` in /etc/docker/daemon.json"
    )]
    Store(String),
    #[error(
        "no room for it in {} ({reason}); make room there (`docker system df`), or give it a larger disk",
        store.as_deref().unwrap_or("docker's image store")
    )]
    DiskFull {
        reason: String,
        /// Where the engine keeps images, where that is known.
        store: Option<String>,
    },
    #[error("not on this host, and collator.pull is \"never\"; `docker pull` or `docker load` it first")]
    Absent,
    #[error(
        "it is gone from this host, and an image id cannot be pulled; `docker load` it, or write an image into the \
         configuration and restart the agent"
    )]
    Gone,
    #[error("it is for {has}, this host is {wants}; take the image for this kind of machine")]
    Platform { has: String, wants: String },
    #[error("that is no image reference ({0}); correct collator.image")]
    Invalid(String),
    #[error(
        "its signature is not verified ({0}); sign it with the key of collator.cosign_key, install cosign on this host, \
         or remove that key"
    )]
    Unsigned(String),
    #[error("{}: {reason}", path.display())]
    Credentials { path: PathBuf, reason: String },
    #[error("pull failed: {0}")]
    Pull(String),
}

impl Error {
    /// The kind of failure, as far as the core treats it differently.
    pub fn failure(&self) -> ActionFailure {
        match self {
            Self::Unreachable { .. } => ActionFailure::DockerUnreachable,
            Self::Foreign { .. } => ActionFailure::Foreign,
            Self::Image { .. } => ActionFailure::Image,
            Self::Executable { .. } => ActionFailure::Executable,
            Self::KeysNotPermitted => ActionFailure::Cancelled,
            Self::Occupied { .. }
            | Self::Busy { .. }
            | Self::Network { .. }
            | Self::PortTaken { .. }
            | Self::LostTask { .. }
            | Self::FullNode { .. }
            | Self::Path { .. }
            | Self::Api { .. } => ActionFailure::Other,
        }
    }

    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Api { status, .. } => *status,
            _ => None,
        }
    }

    pub(super) fn from_engine(socket: &str, action: &'static str, error: EngineError) -> Self {
        match error {
            EngineError::DockerResponseServerError { status_code, message } => Self::Api {
                action,
                status: Some(status_code),
                reason: message.trim().to_owned(),
            },
            EngineError::DockerStreamError { error } => Self::Api {
                action,
                status: None,
                reason: error.trim().to_owned(),
            },
            EngineError::JsonDataError { .. }
            | EngineError::JsonSerdeError { .. }
            | EngineError::APIVersionParseError {}
            | EngineError::URLParseError { .. }
            | EngineError::InvalidURIError { .. } => Self::Api {
                action,
                status: None,
                reason: format!("unreadable answer: {error}"),
            },
            EngineError::SocketNotFoundError(_) => Self::Unreachable {
                socket: socket.to_owned(),
                reason: "no such socket; `systemctl start docker`, or correct agent.docker".to_owned(),
                hangs: false,
            },
            other => Self::Unreachable {
                socket: socket.to_owned(),
                reason: connection_reason(&other),
                hangs: false,
            },
        }
    }
}

/// The innermost cause: the outer layers of the HTTP client only say that a layer below them failed.
fn connection_reason(error: &EngineError) -> String {
    let outermost: &(dyn std::error::Error + 'static) = match error {
        EngineError::IOError { err } => err,
        other => other,
    };
    let cause = http::causes(outermost).last().unwrap_or(outermost);
    let remedy = match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            "; `systemctl start docker`, or correct agent.docker"
        }
        Some(io::ErrorKind::PermissionDenied) => "; run the agent as root or add its user to group docker",
        _ => "",
    };
    format!("{cause}{remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_names_socket_and_remedy() {
        let error = EngineError::IOError {
            err: io::Error::from(io::ErrorKind::ConnectionRefused),
        };
        let error = Error::from_engine("/run/docker.sock", "inspect the container", error);
        assert_eq!(
            error.to_string(),
            "docker at /run/docker.sock does not answer: connection refused; `systemctl start docker`, or \
             correct agent.docker"
        );
        assert_eq!(error.failure(), ActionFailure::DockerUnreachable);
    }

    #[test]
    fn a_declined_call_keeps_its_status_and_dockers_words() {
        let error = EngineError::DockerResponseServerError {
            status_code: 409,
            message: "in use\n".into(),
        };
        let error = Error::from_engine("/s", "create the container", error);
        assert_eq!(error.status(), Some(409));
        assert_eq!(error.to_string(), "docker could not create the container: in use");
        assert_eq!(error.failure(), ActionFailure::Other);
    }

    #[test]
    fn a_container_that_is_kept_is_taken_over_by_the_name_that_it_had() {
        let occupied = |name: &str| Error::Occupied {
            name: name.into(),
            path: "/data".into(),
        };
        for name in ["node", "node-before-t0rn-agent"] {
            let said = occupied(name).to_string();
            assert!(
                said.contains("`t0rn-agent takeover node`") && said.contains(&format!("`docker stop {name}`")),
                "{said}"
            );
        }
    }

    #[test]
    fn a_foreign_container_comes_with_the_way_to_hand_it_over() {
        let error = Error::Foreign {
            name: "node".into(),
            data: "/data".into(),
        };
        assert!(error.to_string().contains("t0rn-agent takeover node"));
        assert!(error.to_string().contains("/data"));
    }
}
