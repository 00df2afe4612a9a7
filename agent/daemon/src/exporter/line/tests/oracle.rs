//! A second reader of exposition lines, written from the format's grammar: the judge of [`super::SampleLine`].

/// `name{label="value",…} value [timestamp]`.
#[derive(Debug)]
pub(crate) struct Reference<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: Vec<(&'a str, String)>,
    pub(crate) value: f64,
}

impl<'a> Reference<'a> {
    /// The sample that stands there; `None` when none does.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (name, rest) = word(text.trim_ascii_start())?;
        let (labels, rest) = match rest.trim_ascii_start().strip_prefix('{') {
            Some(inner) => labels(inner)?,
            None if rest.starts_with(|c: char| c.is_ascii_whitespace()) => (Vec::new(), rest),
            None => return None,
        };
        let mut numbers = rest.split_ascii_whitespace();
        let value = numbers.next()?.parse().ok()?;
        let timestamp = numbers.next().map(str::parse::<i64>);
        (timestamp.is_none_or(|time| time.is_ok()) && numbers.next().is_none()).then_some(Self { name, labels, value })
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
        text = text.trim_ascii_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = word(text).filter(|(name, _)| !name.contains(':'))?;
        let rest = rest.trim_ascii_start().strip_prefix('=')?;
        let (value, rest) = quoted(rest.trim_ascii_start().strip_prefix('"')?)?;
        labels.push((name, value));
        text = rest.trim_ascii_start();
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
