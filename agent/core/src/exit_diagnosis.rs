//! The meaning of the last log lines before an exit: one table, each row with its source and its remedy.
//!
//! The table is the data file `exit_diagnosis/signatures.toml`; the configuration adds rows of the same form, which come
//! first.

mod prefix;
mod signature;
mod signatures;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::cause::Cause;
use crate::event::Exit;

pub use signature::Signature;
pub use signatures::Signatures;

/// What an exit and its last log lines show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    pub cause: Cause,
    /// Remedy of the row that was found; `None` where there is but the one of the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Exit {
    /// Whether this end is the kernel's kill for memory.
    ///
    /// Docker's flag belongs to the cgroup and to the whole run: a child that was killed sets it, too
    /// (moby#15621, kubernetes#78973).
    pub fn is_out_of_memory(&self) -> bool {
        self.oom && self.code == Some(137)
    }
}

/// What the last lines of a run show about its database, however it ended: for callers that know the database to be
/// at fault.
pub fn damage(log: &[String]) -> Option<Cause> {
    const OF_DATA: [Cause; 5] = [
        Cause::DatabaseCorrupted,
        Cause::DatabaseNewer,
        Cause::DatabaseForeign,
        Cause::DataInUse,
        Cause::DiskFull,
    ];
    let table = Signatures::default();
    let mut causes = signatures::last_lines(log)
        .iter()
        .filter_map(|line| table.cause_of(line));
    causes.find(|cause| OF_DATA.contains(cause))
}

/// Whether a line, however old, reports a damaged database: for callers that know it to be of this run.
pub fn tells_of_damage(line: &str) -> bool {
    Signatures::default().cause_of(line) == Some(Cause::DatabaseCorrupted)
}
