//! The identity: the volume with the keys, and whether this host holds it.

use serde::{Deserialize, Serialize};

use super::named;

named! {
    /// What this host has of the identity volume.
    Holding {
        /// Attached to this instance alone, mounted from that device, leased by this boot.
        Held = "held",
        /// Not here, or not ready.
        Missing = "missing",
        /// It was held, and is not any more.
        Lost = "lost",
        /// It is there, and cannot be written to.
        ReadOnly = "read_only",
        /// Nobody can tell now: neither held nor lost.
        Unknown = "unknown",
    }
}

/// What is known of the identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub holding: Holding,
    /// What was found and what to do about it; empty while it is held.
    pub why: String,
}
