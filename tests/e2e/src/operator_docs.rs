//! The pages for operators, in `docs`.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::repository::root;

/// What only a host that was booted has an answer to.
const HOST: [&str; 3] = ["systemctl", "journalctl", "timedatectl"];

/// The text of a page.
///
/// # Errors
/// There is none of that name.
pub fn page(name: &str) -> Result<String> {
    fs::read_to_string(root().join("docs").join(name)).with_context(|| format!("docs/{name}"))
}

/// The fenced blocks of one language, in their order.
pub fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("```{language}\n");
    let parts = text.split(fence.as_str()).skip(1);
    parts.filter_map(|part| part.split("```").next()).collect()
}

/// The commands of a page, one a line.
///
/// # Errors
/// There is no such page, or no command in it.
pub fn commands(name: &str) -> Result<Vec<String>> {
    let text = page(name)?;
    let lines: Vec<_> = blocks(&text, "sh").into_iter().flat_map(str::lines).collect();
    ensure!(!lines.is_empty(), "docs/{name} has no command");
    Ok(lines.into_iter().map(str::to_owned).collect())
}

/// Whether a command asks the host's service manager, journal or clock.
pub fn is_about_the_host(command: &str) -> bool {
    command.split(' ').next().is_some_and(|program| HOST.contains(&program))
}
