//! Programs of the host.

use std::io;

use tokio::process::{Child, Command};

use crate::disk::{self, Disk};

/// Starts a program. A start waits for the program's disk, so it is work on that.
///
/// # Errors
/// The program cannot be started, or its disk does not answer.
pub async fn start(mut command: Command) -> io::Result<Child> {
    disk::run_io(Disk::System, move || command.spawn()).await
}
