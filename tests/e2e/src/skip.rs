//! Tests that cannot run here say so.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Ends a test that cannot run here, and says why: on standard output, and in the file that `T0RN_SKIP_FILE` names.
#[macro_export]
macro_rules! skip {
    ($reason:expr) => {{
        $crate::skip::record(&$reason.to_string());
        return Ok(());
    }};
}

/// Use [`skip!`](crate::skip!).
#[expect(clippy::print_stdout, reason = "the line is the result of the test")]
pub fn record(reason: &str) {
    // cargo-nextest runs a test on the main thread, and names it in the environment.
    let name = std::env::var("NEXTEST_TEST_NAME").ok();
    let thread = std::thread::current();
    let name = name.as_deref().or(thread.name()).unwrap_or("a test");
    let line = format!("SKIPPED: {name}: {reason}");
    println!("{line}");
    if let Some(file) = std::env::var_os("T0RN_SKIP_FILE") {
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file)
            .and_then(|mut f| writeln!(f, "{line}"));
        if let Err(e) = written {
            println!("cannot write {}: {e}", file.display());
        }
    }
}
