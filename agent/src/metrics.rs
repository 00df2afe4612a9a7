//! The agent's own exporter page: a [`Snapshot`] as Prometheus exposition text. Pure.
//!
//! What nobody knows has no series: an absent series is told from 0 by every query.

use std::fmt::Write as _;

use crate::snapshot::Snapshot;
use crate::status::Health;

/// Of what [`render`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page as it stands at this moment.
pub fn render(snapshot: &Snapshot) -> String {
    let mut page = String::new();
    let _ = writeln!(page, "# HELP t0rn_agent_health One for the health that is.");
    let _ = writeln!(page, "# TYPE t0rn_agent_health gauge");
    for health in Health::ALL {
        let is = u8::from(*health == snapshot.status.health);
        let _ = writeln!(page, "t0rn_agent_health{{state=\"{}\"}} {is}", health.name());
    }
    page
}
