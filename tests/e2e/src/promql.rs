//! What a `PromQL` expression asks for, and whether an exporter's page has it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};

/// What Prometheus itself adds to every series.
const TARGET: [&str; 2] = ["job", "instance"];
/// Metrics that Prometheus itself makes, and their labels.
const OWN: [(&str, &[&str]); 2] = [("up", &[]), ("ALERTS", &["alertname", "alertstate", "severity"])];
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const OPERATORS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

/// The series of an exporter's page, without their values.
#[derive(Debug)]
pub struct Page {
    series: Vec<(String, BTreeMap<String, String>)>,
}

/// The metrics that an expression names, each with its matchers, and the labels that it groups by.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub selectors: Vec<Selector>,
    pub grouping: BTreeSet<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    /// Label, operator, value.
    pub matchers: Vec<(String, String, String)>,
}

impl Page {
    /// Reads exposition text whose label values need no escaping.
    ///
    /// # Errors
    /// A line is no series.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
        let series = lines.map(|line| {
            let (series, _value) = line.rsplit_once(' ').with_context(|| format!("no value: {line}"))?;
            let mut rest = Tokens { text: series, at: 0 };
            let metric = rest.word().to_owned();
            ensure!(!metric.is_empty(), "no series: {line}");
            let labels = rest.matchers()?.into_iter().map(|(label, _, value)| (label, value));
            Ok((metric, labels.collect()))
        });
        Ok(Self {
            series: series.collect::<Result<_>>()?,
        })
    }

    /// Whether every metric, label and value that `expression` names is on the page. Returns the labels that its
    /// series may have.
    ///
    /// # Errors
    /// Something is not, or the expression is not understood.
    pub fn answers(&self, expression: &str) -> Result<BTreeSet<String>> {
        let asked = asked(expression)?;
        ensure!(!asked.selectors.is_empty(), "{expression}: no metric in it");
        let mut labels: BTreeSet<String> = TARGET.map(str::to_owned).into();
        for selector in &asked.selectors {
            labels.extend(
                self.answer(selector)
                    .with_context(|| format!("in the expression {expression}"))?,
            );
        }
        for label in &asked.grouping {
            ensure!(
                labels.contains(label),
                "{expression}: no series in it has the label {label}"
            );
        }
        Ok(labels)
    }

    fn answer(&self, selector: &Selector) -> Result<BTreeSet<String>> {
        let metric = &selector.metric;
        let own = OWN.iter().find(|(name, _)| name == metric);
        let series: Vec<_> = self.series.iter().filter(|(name, _)| name == metric).collect();
        ensure!(own.is_some() || !series.is_empty(), "there is no metric {metric}");
        let mut labels: BTreeSet<String> = series.iter().flat_map(|(_, l)| l.keys().cloned()).collect();
        labels.extend(own.iter().flat_map(|(_, l)| l.iter().map(|l| (*l).to_owned())));
        for (label, operator, value) in &selector.matchers {
            if TARGET.contains(&label.as_str()) {
                continue;
            }
            ensure!(labels.contains(label), "{metric} has no label {label}");
            let alternatives = if operator.contains('~') {
                value.split('|')
            } else {
                value.split('\n')
            };
            for value in alternatives.filter(|_| own.is_none()) {
                let has = series.iter().any(|(_, l)| l.get(label).is_some_and(|v| v == value));
                ensure!(has, "{metric} has never {label}=\"{value}\"");
            }
        }
        Ok(labels)
    }
}

/// Takes an expression apart.
///
/// # Errors
/// It is not understood.
pub fn asked(expression: &str) -> Result<Asked> {
    let mut asked = Asked::default();
    let mut rest = Tokens {
        text: expression,
        at: 0,
    };
    while let Some(c) = rest.peek() {
        match c {
            '"' | '\'' => drop(rest.string()?),
            '[' => rest.skip_past(']')?,
            c if c.is_ascii_digit() => drop(rest.word()),
            c if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
                let word = rest.word();
                if GROUPING.contains(&word) {
                    let labels = rest.list()?;
                    asked.grouping.extend(labels);
                } else if !OPERATORS.contains(&word) && !rest.is_call() {
                    asked.selectors.push(Selector {
                        metric: word.to_owned(),
                        matchers: rest.matchers()?,
                    });
                }
            }
            _ => rest.at += c.len_utf8(),
        }
    }
    Ok(asked)
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    /// The next character that is no white space.
    fn peek(&mut self) -> Option<char> {
        let rest = self.text.get(self.at..)?;
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_:.".contains(c));
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn string(&mut self) -> Result<String> {
        let quote = self.peek().context("a string is missing")?;
        let (start, text) = (self.at + 1, self.text);
        let end = text[start..].find(quote).context("a string does not end")?;
        self.at = start + end + 1;
        let string = &text[start..start + end];
        ensure!(
            !string.contains('\\'),
            "escapes in strings are not understood: {string}"
        );
        Ok(string.to_owned())
    }

    fn skip_past(&mut self, last: char) -> Result<()> {
        let rest = &self.text[self.at..];
        self.at += rest.find(last).with_context(|| format!("no {last} in {rest}"))? + 1;
        Ok(())
    }

    /// Whether what was just read is a function or an aggregation.
    fn is_call(&mut self) -> bool {
        self.peek();
        let rest = &self.text[self.at..];
        let grouped = |word: &str| rest.starts_with(&format!("{word} (")) || rest.starts_with(&format!("{word}("));
        rest.starts_with('(') || GROUPING.iter().any(|word| grouped(word))
    }

    /// Labels in parentheses; none where there are no parentheses.
    fn list(&mut self) -> Result<Vec<String>> {
        if self.peek() != Some('(') {
            return Ok(Vec::new());
        }
        let start = self.at + 1;
        self.skip_past(')')?;
        let labels = self.text[start..self.at - 1].split(',').map(str::trim);
        Ok(labels.filter(|l| !l.is_empty()).map(str::to_owned).collect())
    }

    /// Matchers in braces; none where there are no braces.
    fn matchers(&mut self) -> Result<Vec<(String, String, String)>> {
        let mut matchers = Vec::new();
        if self.peek() != Some('{') {
            return Ok(matchers);
        }
        self.at += 1;
        loop {
            match self.peek() {
                Some('}') => break self.at += 1,
                Some(',') => self.at += 1,
                Some(_) => {
                    let label = self.word().to_owned();
                    self.peek();
                    let from = self.at;
                    while self.peek().is_some_and(|c| "=!~".contains(c)) {
                        self.at += 1;
                    }
                    let operator = self.text[from..self.at].trim().to_owned();
                    ensure!(!label.is_empty() && !operator.is_empty(), "no matcher: {}", self.text);
                    matchers.push((label, operator, self.string()?));
                }
                None => bail!("no }} in {}", self.text),
            }
        }
        Ok(matchers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE a gauge\na{state=\"on\",n=\"1\"} 1\na{state=\"off\"} 0\nb_total 3\n";

    #[test]
    fn an_expression_is_taken_apart() -> Result<()> {
        let expression = r#"sum by (state) (rate(a{state=~"on|off", n!="1"}[5m])) / ignoring(n) b_total > 2.5e3 and on (job) up == 1"#;
        let asked = asked(expression)?;
        let metrics: Vec<_> = asked.selectors.iter().map(|s| s.metric.as_str()).collect();
        assert_eq!(metrics, ["a", "b_total", "up"]);
        let of = |label: &str, operator: &str, value: &str| (label.to_owned(), operator.to_owned(), value.to_owned());
        assert_eq!(
            asked.selectors[0].matchers,
            [of("state", "=~", "on|off"), of("n", "!=", "1")]
        );
        assert_eq!(asked.grouping, ["job", "n", "state"].map(str::to_owned).into());
        Ok(())
    }

    #[test]
    fn what_the_page_has_is_answered_and_what_it_lacks_is_told() -> Result<()> {
        let page = Page::parse(PAGE)?;
        for good in [
            "a",
            "sum by (n, instance) (a{state=\"on\"})",
            "absent(up{job=\"x\"})",
            "b_total offset 1h > 0 unless a == 1",
        ] {
            page.answers(good)?;
        }
        for (bad, words) in [
            ("c", "no metric c"),
            ("b_total{state=\"on\"}", "no label state"),
            ("a{state=\"broken\"}", "has never state=\"broken\""),
            ("a{state!~\"on|broken\"}", "has never state=\"broken\""),
            ("sum by (chain) (a)", "has the label chain"),
            ("1 + 1", "no metric in it"),
        ] {
            let error = format!("{:#}", page.answers(bad).err().context(bad)?);
            assert!(error.contains(words), "{bad}: {error}");
        }
        Ok(())
    }
}
