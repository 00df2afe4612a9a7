//! The EC2 adapter: which instance this is, what EC2 announces about it, and the word to its auto scaling group that it
//! may go.
//!
//! Off EC2 it notices within a second that there is no instance metadata service, and then only asks again now and
//! then. What cannot be told is neither an announcement nor the end of one.

mod api;
mod caller;
mod credentials;
mod imds;
mod lifecycle;
mod notices;
mod s3;
#[cfg(test)]
mod tests;
mod transport;
mod volumes;
mod watch;

pub use lifecycle::{Hook, release};
pub use s3::{Bucket, Object, S3Error};
pub use volumes::{Attachment, Volumes};
pub use watch::{News, watch};
