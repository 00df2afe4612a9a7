//! The identity: the volume with the keys, and whether this host holds it.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

/// What this host has of the identity volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Holding {
    /// Attached to this instance alone, mounted from that device, leased by this boot.
    Held,
    /// Not here, or not ready.
    Missing,
    Lost,
    /// It is there, and cannot be written to.
    ReadOnly,
    /// Not known now: neither held nor lost.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub holding: Holding,
    /// What was found and what to do about it; empty while it is held.
    pub why: String,
}
