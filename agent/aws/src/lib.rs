//! The AWS adapter: instance metadata and its notices, the Auto Scaling lifecycle hook, one EBS volume, and S3 objects.
//!
//! Off EC2 it finds within a second that there is no instance metadata service, and then probes for one only now and
//! then. It must never take a failed request for a notice or for the end of one, detach a volume by force, or show a
//! credential in an error or a log.
//! Begin with [`watch()`], then [`release`] for the lifecycle hook; `client` signs and sends every API call.

mod api;
mod client;
mod consistency;
mod credentials;
mod dmi;
#[cfg(any(test, fuzzing))]
#[path = "tests/fuzzing.rs"]
pub mod fuzzing;
mod imds;
mod lifecycle;
mod notices;
mod s3;
#[cfg(test)]
mod tests;
mod transport;
mod volumes;
mod watch;

pub use consistency::{ATTACHING, ATTACHMENT, ErrorClass, Patience, UNKNOWN};
pub use lifecycle::{LifecycleHook, release};
pub use s3::{Object, S3Bucket, S3Error};
pub use volumes::{Attachment, VolumeError, Volumes};
pub use watch::{MetadataEvent, watch};
