//! The draft as the text of `agent.toml`.

use std::fmt::Write as _;
use std::path::Path;

use agent_files::printable;

use super::draft::{Draft, DraftPort};

/// Longest line of a list that is written on one line.
const LINE: usize = 100;

pub(super) fn render(draft: &Draft) -> String {
    let mut out = String::new();
    comment(
        &mut out,
        &format!(
            "Configuration of t0rn-agent, made by `t0rn-agent init` from {}.",
            draft.origin
        ),
    );
    comment(
        &mut out,
        "Every key that is not here has its default: `t0rn-agent config default` prints them all.",
    );
    notes(&mut out, draft);
    if let Some(docker) = &draft.docker {
        let _ = write!(out, "\n[agent]\ndocker = {}\n", path(docker));
    }
    collator(&mut out, draft);
    out += "\n[data]\n";
    optional_comment(&mut out, draft.data_comment.as_deref());
    let _ = write!(
        out,
        "path = {}\ntarget = {}\n",
        path(&draft.data.0),
        path(&draft.data.1)
    );
    for mount in &draft.mounts {
        out += "\n[[mounts]]\n";
        optional_comment(&mut out, mount.comment.as_deref());
        let _ = write!(
            out,
            "source = {}\ntarget = {}\n",
            path(&mount.source),
            path(&mount.target)
        );
        if mount.read_only {
            out += "read_only = true\n";
        }
    }
    for chain in &draft.chains {
        let _ = write!(out, "\n[chains.{}]\n", chain.chain.into_str());
        optional_comment(&mut out, chain.comment.as_deref());
        let _ = write!(
            out,
            "metrics = {}\nprefix = {}\n",
            quote(&chain.metrics),
            quote(&chain.prefix)
        );
    }
    if let Some(listen) = &draft.listen {
        let _ = write!(out, "\n[metrics]\nlisten = {}\n", quote(listen));
    }
    out
}

fn notes(out: &mut String, draft: &Draft) {
    let (urgent, others): (Vec<_>, Vec<_>) = draft.notes.iter().partition(|note| note.is_urgent);
    for (heading, notes) in [
        ("To be done before the agent starts the collator:", urgent),
        ("Not carried over, or changed:", others),
    ] {
        if !notes.is_empty() {
            out.push_str("#\n");
            comment(out, heading);
            for note in notes {
                comment(out, &format!("- {}", note.text));
            }
        }
    }
}

fn collator(out: &mut String, draft: &Draft) {
    out.push_str("\n[collator]\n");
    optional_comment(out, draft.image_comment.as_deref());
    let _ = write!(
        out,
        "image = {}\ncontainer = {}\n",
        quote(&draft.image),
        quote(&draft.container)
    );
    if let Some(entrypoint) = &draft.entrypoint {
        comment(out, "In place of the image's own entrypoint.");
        let _ = writeln!(out, "entrypoint = {}", quote(entrypoint));
    }
    let _ = writeln!(out, "command = {}", arguments(&draft.command));
    let _ = writeln!(out, "network = {}", quote(&draft.network));
    if draft.network != "host" {
        let _ = writeln!(
            out,
            "ports = {}",
            list(
                &draft
                    .ports
                    .iter()
                    .map(|port| quote(&show_port(port)))
                    .collect::<Vec<_>>()
            )
        );
    }
    optional_comment(out, draft.user_comment.as_deref());
    let _ = writeln!(out, "user = {}", quote(&draft.user));
    for (key, value, about) in &draft.collator {
        optional_comment(out, about.as_deref());
        let _ = writeln!(out, "{key} = {value}");
    }
    if !draft.env.is_empty() {
        out.push_str("\n[collator.env]\n");
        for (name, value) in &draft.env {
            let _ = writeln!(out, "{} = {}", quote(name), quote(value));
        }
    }
}

/// `[ADDRESS:]HOST:CONTAINER/PROTOCOL`, as the configuration reads it.
pub(super) fn show_port(port: &DraftPort) -> String {
    let address = match port.address {
        Some(address) if address.is_ipv6() => format!("[{address}]:"),
        Some(address) => format!("{address}:"),
        None => String::new(),
    };
    format!("{address}{}:{}/{}", port.host, port.container, port.protocol)
}

/// Arguments, a flag and its value on one line.
fn arguments(words: &[String]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut takes_value = false;
    for word in words {
        let is_flag = word.starts_with('-');
        match lines.last_mut() {
            Some(line) if takes_value && !is_flag => *line = format!("{line}, {}", quote(word)),
            _ => lines.push(quote(word)),
        }
        takes_value = is_flag && word != "--" && !word.contains('=');
    }
    list(&lines)
}

fn list(items: &[String]) -> String {
    let line = items.join(", ");
    if line.len() <= LINE {
        return format!("[{line}]");
    }
    format!("[\n    {},\n]", items.join(",\n    "))
}

fn comment(out: &mut String, text: &str) {
    let _ = writeln!(out, "# {}", printable(text));
}

fn optional_comment(out: &mut String, text: Option<&str>) {
    if let Some(text) = text {
        comment(out, text);
    }
}

fn path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// A basic string of TOML, which is one of JSON but for DEL.
pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_with_their_values() {
        let words = ["--collator", "--chain", "x", "--a=b", "c", "--", "d"].map(str::to_owned);
        let long = "y".repeat(100);
        let lines = arguments(&[words.as_slice(), &[long]].concat());
        assert!(lines.starts_with(
            "[\n    \"--collator\",\n    \"--chain\", \"x\",\n    \"--a=b\",\n    \"c\",\n    \"--\",\n    \"d\",\n"
        ));
    }

    #[test]
    fn quoted_text_is_read_back_by_toml() {
        let text = "a\"b\\c\nd\te\u{7f}\u{1}é💤";
        let toml = format!("[collator]\nimage = \"x\"\ncommand = [{}]\n", quote(text));
        assert_eq!(
            agent_config::Config::parse(&toml, "test").map(|config| config.collator.command),
            Ok(vec![text.to_owned()])
        );
    }
}
