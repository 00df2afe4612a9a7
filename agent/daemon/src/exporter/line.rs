//! One line of the Prometheus text exposition format (0.0.4).

/// `name{label="value",…} value [timestamp]`.
#[derive(Debug, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    labels: Vec<(&'a str, String)>,
    pub(super) value: f64,
}

impl<'a> Line<'a> {
    /// The sample that stands there; `None` when none does.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (name, rest) = word(text.trim_start())?;
        let (labels, rest) = match rest.trim_start().strip_prefix('{') {
            Some(inner) => labels(inner)?,
            None => (Vec::new(), rest),
        };
        let mut numbers = rest.split_ascii_whitespace();
        let value = numbers.next()?.parse().ok()?;
        let timestamp = numbers.next().map(str::parse::<i64>);
        (timestamp.is_none_or(|time| time.is_ok()) && numbers.next().is_none()).then_some(Self { name, labels, value })
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        let label = self.labels.iter().find(|(known, _)| *known == name);
        label.map(|(_, value)| value.as_str())
    }
}

/// A metric's or label's name, and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (!word.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit())).then_some((word, rest))
}

/// The labels up to the closing brace, and what follows it.
fn labels(mut text: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = word(text)?;
        let rest = rest.trim_start().strip_prefix('=')?;
        let (value, rest) = quoted(rest.trim_start().strip_prefix('"')?)?;
        labels.push((name, value));
        text = rest.trim_start();
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None if text.starts_with('}') => {}
            None => return None,
        }
    }
}

/// The value up to the closing quote, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                c => value.push(c),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should panic")]

    use std::cmp::Ordering;

    use super::*;

    #[test]
    fn what_the_format_allows_is_read() {
        let line = Line::parse(r#" a:b_1 { x = "1" , y="a,b}={\"c\\\n" , } 1.5e3 -17 "#).unwrap();
        assert_eq!((line.name, line.value.to_string().as_str()), ("a:b_1", "1500"));
        assert_eq!(line.label("x"), Some("1"));
        assert_eq!(line.label("y"), Some("a,b}={\"c\\\n"));
        assert_eq!(line.label("z"), None);
        for (text, value) in [
            ("a 1", 1.0),
            ("a{}\t-0.5", -0.5),
            ("a +Inf", f64::INFINITY),
            ("a{b=\"\"}2", 2.0),
        ] {
            assert_eq!(
                Line::parse(text).unwrap().value.total_cmp(&value),
                Ordering::Equal,
                "{text}"
            );
        }
        assert!(Line::parse("a NaN").unwrap().value.is_nan());
    }

    #[test]
    fn what_it_does_not_allow_is_none() {
        for text in [
            "",
            "a",
            "1a 1",
            "a b",
            "a 1 b",
            "a 1 2 3",
            "a 1 1.5",
            "{x=\"1\"} 1",
            "a{x=\"1\" 1",
            "a{x=1} 1",
            "a{x=\"1} 1",
            "a{x=\"1\"y=\"2\"} 1",
            "a{,} 1",
            "a{x=\"1\\",
            "<html><body> 1",
        ] {
            assert_eq!(Line::parse(text), None, "{text}");
        }
    }
}
