//! The configuration: TOML text to validated types.
//!
//! Every key but `collator.image` has a default, an unknown key is an error, and all problems of a file are reported
//! at once, each with its line, key and remedy. It must never show a secret, contact a service, or read another file
//! than the one that it is given.
//! Begin with [`Config`] in `types`, then `sections`, which has every key with its default and bounds.

mod changes;
mod error;
mod excerpt;
mod formats;
#[cfg(any(test, fuzzing))]
#[path = "tests/fuzzing.rs"]
pub mod fuzzing;
mod image_reference;
mod keyless;
mod line_index;
mod load;
mod names;
mod policy;
mod reader;
pub mod reference;
mod repositories;
mod schema;
mod sections;
mod shape;
mod signatures;
#[cfg(test)]
mod tests;
mod types;
mod units;
mod validate;
mod values;

pub use agent_core::machine::{Idle, WithoutVolume};
pub use agent_core::notification::NotifyFormat;
pub use agent_core::units::{show_duration, show_size};

pub use changes::{Change, Needs};
pub use error::{ConfigError, ValueError};
pub use image_reference::{ImageReference, parse_image};
pub use keyless::{EphemeralChainError, keyless};
pub use repositories::RepositoryError;
pub use schema::schema;
pub use sections::{DEFAULT_IMDS, DEFAULT_SOCKET, DEFAULT_STATE_DIR};
pub use types::{
    AgentConfig, BindMount, CollatorConfig, Config, Confinement, ContainerUser, DataConfig, Ec2Config, ExporterConfig,
    HealthConfig, HostConfig, IdentityConfig, MetricsConfig, NotifyConfig, PublishedPort, PullPolicy, RestartConfig,
    UpdateConfig,
};
pub use units::{parse_duration, parse_size};

/// The commented default, as `config default` prints it. It names an image, since that has no default.
pub const DEFAULT: &str = include_str!("default.toml");

/// The published JSON schema, which [`schema`] makes.
pub const SCHEMA: &str = include_str!("../../../dist/agent.schema.json");
