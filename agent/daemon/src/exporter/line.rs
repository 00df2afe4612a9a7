//! One line of the Prometheus text exposition format (0.0.4).
//!
//! `prometheus-parse` takes `,`, `=`, `}` and quotes for syntax also inside label values, leaves escapes as they
//! are, loses samples with empty braces or blanks around them, and ignores what follows the timestamp. So each line
//! passes through [`guarded`] first.

#[cfg(any(test, fuzzing))]
#[path = "line/tests/oracle.rs"]
pub(crate) mod oracle;
#[cfg(test)]
mod tests;

use prometheus_parse::{Labels, Scrape, Value};

/// What the parser takes for syntax wherever it stands, and the Unicode noncharacter that replaces it in a label value.
const STAND_INS: [(char, char); 4] = [
    (',', '\u{fdd0}'),
    ('=', '\u{fdd1}'),
    ('}', '\u{fdd2}'),
    ('"', '\u{fdd3}'),
];

/// `name{label="value",…} value [timestamp]`.
#[derive(Debug, PartialEq)]
pub(crate) struct SampleLine {
    /// A colon reads as `_`: only recording rules have one.
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) value: f64,
}

impl SampleLine {
    /// The sample of a line; `None` when it has none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (line, labels) = guarded(text)?;
        let sample = Scrape::parse([Ok(line)].into_iter()).ok()?.samples.pop()?;
        match sample.value {
            // Without a TYPE line every sample is untyped. The parser leaves out a label that it cannot read.
            Value::Untyped(value) if sample.labels.len() == labels => Some(Self {
                name: sample.metric,
                labels: sample.labels,
                value,
            }),
            _ => None,
        }
    }

    pub(crate) fn label(&self, name: &str) -> Option<String> {
        let sign = |c| STAND_INS.iter().find(|pair| pair.1 == c).map_or(c, |pair| pair.0);
        Some(self.labels.get(name)?.chars().map(sign).collect())
    }
}

/// The line as the parser reads it correctly, and its number of label values: escapes resolved, stand-ins in label
/// values, no blanks in or before the braces. `None` when it is malformed in a way that the parser would accept.
fn guarded(text: &str) -> Option<(String, usize)> {
    let text = text.trim_ascii_start();
    let mut line = String::with_capacity(text.len() + 2);
    let (mut quotes, mut braced, mut was_blank) = (0, false, false);
    let stand_in = |c| STAND_INS.iter().find(|pair| pair.0 == c).map_or(c, |pair| pair.1);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let behind_blank = std::mem::replace(&mut was_blank, c.is_ascii_whitespace());
        match c {
            '\\' if quotes % 2 == 1 => match chars.next()? {
                'n' => line.push('\n'),
                c => line.push(stand_in(c)),
            },
            '"' if quotes % 2 == 0 && !(braced && line.ends_with('=')) => return None,
            '"' => {
                quotes += 1;
                line.push('"');
            }
            c if quotes % 2 == 1 => line.push(stand_in(c)),
            // Braces stand behind the name, and a label ends with the quote of its value.
            '{' if !line.trim_end().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => return None,
            ',' if !(braced && line.ends_with('"')) => return None,
            '}' if !(braced && line.ends_with(['"', '{', ','])) => return None,
            '{' => {
                line.truncate(line.trim_end().len());
                line.push('{');
                braced = true;
            }
            // The comma makes of empty braces what the parser accepts.
            '}' if braced => {
                line.push_str(",} ");
                braced = false;
            }
            c if braced && c.is_ascii_whitespace() => {}
            c if braced && (c.is_ascii_alphanumeric() || c == '_') => {
                let begins = line.ends_with(['{', ',']);
                if (begins && c.is_ascii_digit()) || (!begins && behind_blank) {
                    return None;
                }
                line.push(c);
            }
            '=' if braced && line.ends_with(['{', ',', '=']) => return None,
            c if braced && !",=".contains(c) => return None,
            ':' => line.push('_'),
            c if c.is_ascii_graphic() || c.is_ascii_whitespace() => line.push(c),
            _ => return None,
        }
    }
    let labels_end = line
        .rfind('}')
        .or_else(|| line.find(|c: char| c.is_ascii_whitespace()))?;
    let mut after_value = line[labels_end + 1..].split_ascii_whitespace().skip(1);
    let is_timestamp = after_value.next().is_none_or(|time| time.parse::<i64>().is_ok());
    let is_whole = !braced && is_timestamp && after_value.next().is_none();
    (is_whole && !text.starts_with(|c: char| c.is_ascii_digit())).then_some((line, quotes / 2))
}
