//! Writes the manual pages of `t0rn-agent`, of each of its commands and of its configuration into a folder.
//!
//! usage: cargo run --example man -- FOLDER

use std::fs;
use std::path::PathBuf;

use agent_config::reference::{Key, Section, notation, sections};
use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use t0rn_agent::Cli;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .context("usage: man FOLDER")?;
    let failed = || format!("failed to write manual pages into {}", folder.display());
    clap_mangen::generate_to(Cli::command(), &folder).with_context(failed)?;
    fs::write(folder.join("t0rn-agent.toml.5"), configuration().render()).with_context(failed)
}

/// t0rn-agent.toml(5)
fn configuration() -> Roff {
    let mut page = Roff::new();
    let title = concat!("t0rn-agent ", env!("CARGO_PKG_VERSION"));
    page.control("TH", ["t0rn-agent.toml", "5", "", title]);
    heading(&mut page, "NAME");
    page.text([roman("t0rn-agent.toml - configuration of t0rn-agent")]);
    heading(&mut page, "SYNOPSIS");
    page.text([bold("/etc/t0rn-agent/agent.toml")]);
    heading(&mut page, "DESCRIPTION");
    paragraph(
        &mut page,
        [
            roman("A file in TOML, at the path above or the one that "),
            bold("--config"),
            roman(" or "),
            bold("T0RN_AGENT_CONFIG"),
            roman(" names. An unknown key is an error. "),
            bold("t0rn-agent config check"),
            roman(" reports every problem with its line, its key and the remedy; "),
            bold("t0rn-agent config default"),
            roman(" prints the keys below as a file, and "),
            bold("t0rn-agent config schema"),
            roman(" a JSON schema for editors."),
        ],
    );
    paragraph(&mut page, [roman(notation())]);
    heading(&mut page, "EXAMPLE");
    page.control("EX", []);
    for line in ["[collator]", "image = \"3h4xx/t0rn-collator:v1.2.0-rc.4\""] {
        page.text([roman(line)]);
    }
    page.control("EE", []);
    for section in sections() {
        table(&mut page, &section);
    }
    heading(&mut page, "FILES");
    for (file, text) in [
        ("/etc/t0rn-agent/agent.toml", "The configuration."),
        ("/usr/share/t0rn-agent/agent.schema.json", "Its JSON schema."),
        ("/usr/share/doc/t0rn-agent/examples", "Complete configurations."),
    ] {
        page.control("TP", []).text([italic(file)]).text([roman(text)]);
    }
    heading(&mut page, "SEE ALSO");
    page.text([
        bold("t0rn-agent"),
        roman("(1), "),
        bold("t0rn-agent-config"),
        roman("(1)"),
    ]);
    page
}

fn table(page: &mut Roff, section: &Section) {
    let brackets = if section.is_list { ("[[", "]]") } else { ("[", "]") };
    heading(page, &format!("{}{}{}", brackets.0, section.name, brackets.1));
    if !section.text.is_empty() {
        paragraph(page, [roman(&section.text)]);
    }
    for key in &section.keys {
        entry(page, key);
    }
}

fn entry(page: &mut Roff, key: &Key) {
    page.control("TP", []);
    page.text([bold(format!("{} = ", key.name)), roman(&key.value)]);
    let kind = match (key.has_default, key.is_required()) {
        (true, _) => "",
        (false, true) => " Required; the value above is an example.",
        (false, false) => " Optional; the value above is an example.",
    };
    page.text([roman(format!("{} {}.{kind}", key.text, key.accepts))]);
}

fn heading(page: &mut Roff, title: &str) {
    page.control("SH", [title]);
}

fn paragraph(page: &mut Roff, text: impl Into<Vec<Inline>>) {
    page.control("PP", []).text(text);
}
