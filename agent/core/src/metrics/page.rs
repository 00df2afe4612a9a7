//! Exposition text of either format.

use std::fmt::{self, Display, Write as _};

use super::format::Format;

#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Number {
    fn from(n: u64) -> Self {
        Self::Whole(n)
    }
}

impl From<bool> for Number {
    fn from(is: bool) -> Self {
        Self::Whole(is.into())
    }
}

impl From<f64> for Number {
    fn from(n: f64) -> Self {
        Self::Real(n)
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(n) => n.fmt(f),
            Self::Real(n) => n.fmt(f),
        }
    }
}

/// A page that is being written. Names and help texts are ours and need no escaping.
#[derive(Debug)]
pub(super) struct MetricsPage {
    text: String,
    format: Format,
}

impl MetricsPage {
    pub(super) const fn new(format: Format) -> Self {
        Self {
            text: String::new(),
            format,
        }
    }

    /// A gauge with one series and no labels.
    pub(super) fn one(&mut self, name: &str, help: &str, value: Option<impl Into<Number>>) {
        self.family("gauge", name, help, [], [([], value)]);
    }

    /// A gauge with one series for each set of label values that has a value.
    pub(super) fn gauge<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        series: impl IntoIterator<Item = ([&'a str; N], Option<impl Into<Number>>)>,
    ) {
        self.family("gauge", name, help, labels, series);
    }

    /// As [`MetricsPage::gauge`], for what only rises.
    pub(super) fn counter<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        series: impl IntoIterator<Item = ([&'a str; N], Option<impl Into<Number>>)>,
    ) {
        self.family("counter", name, help, labels, series);
    }

    pub(super) fn into_text(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// A metric without any value is left out whole.
    fn family<'a, const N: usize>(
        &mut self,
        kind: &str,
        name: &str,
        help: &str,
        labels: [&str; N],
        series: impl IntoIterator<Item = ([&'a str; N], Option<impl Into<Number>>)>,
    ) {
        let text = &mut self.text;
        // OpenMetrics has the suffix at the samples of a counter alone.
        let family = match self.format {
            Format::OpenMetrics if kind == "counter" => name.trim_end_matches("_total"),
            _ => name,
        };
        let mut headed = false;
        for (values, number) in series {
            let number = match number.map(Into::into) {
                // What was divided by nothing is not known.
                Some(Number::Real(n)) if !n.is_finite() => continue,
                Some(number) => number,
                None => continue,
            };
            // Writing to a string does not fail.
            if !std::mem::replace(&mut headed, true) {
                let _ = write!(text, "# HELP {family} {help}\n# TYPE {family} {kind}\n");
            }
            text.push_str(name);
            let mut separator = '{';
            for (label, value) in labels.iter().zip(values) {
                let _ = write!(text, "{separator}{label}=\"{}\"", Escaped(value));
                separator = ',';
            }
            if N > 0 {
                text.push('}');
            }
            let _ = writeln!(text, " {number}");
        }
    }
}

struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}
