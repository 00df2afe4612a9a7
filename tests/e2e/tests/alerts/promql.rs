//! Whether an exporter's page has every metric, label and value that a `PromQL` expression names.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use anyhow::{Context as _, Result, anyhow, ensure};
use promql_parser::label::{Label, MatchOp, Matcher};
use promql_parser::parser::{Expr, LabelModifier, VectorSelector, parse};
use promql_parser::util::{ExprVisitor, walk_expr};

/// What Prometheus itself adds to every series.
const TARGET: [&str; 2] = ["job", "instance"];
/// Metrics that Prometheus itself makes, and their labels.
const OWN: [(&str, &[&str]); 2] = [("up", &[]), ("ALERTS", &["alertname", "alertstate", "severity"])];

/// The series of an exporter's page, without their values.
#[derive(Debug)]
pub(crate) struct Page {
    series: Vec<(String, BTreeMap<String, String>)>,
}

/// The metrics that an expression names, each with its matchers, and the labels that it groups or joins by.
#[derive(Debug, Default)]
struct Names {
    selectors: Vec<(String, Vec<Matcher>)>,
    labels: BTreeSet<Label>,
}

impl Page {
    /// Reads exposition text. A series is written as in an expression, so the same parser reads it.
    ///
    /// # Errors
    /// A line is no series.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
        let series = lines.map(|line| {
            let (series, _value) = line.rsplit_once(' ').with_context(|| format!("no value: {line}"))?;
            let Expr::VectorSelector(selector) = expression(series)? else {
                return Err(anyhow!("no series: {line}"));
            };
            let (name, matchers) = parts(&selector);
            Ok((name, matchers.into_iter().map(|m| (m.name, m.value)).collect()))
        });
        Ok(Self {
            series: series.collect::<Result<_>>()?,
        })
    }

    /// Whether every metric, label and value that `text` names is on the page. Returns the labels that its series may
    /// have.
    ///
    /// # Errors
    /// Something is not, or the expression is not valid.
    pub(crate) fn answers(&self, text: &str) -> Result<BTreeSet<String>> {
        let mut names = Names::default();
        let Ok(_) = walk_expr(&mut names, &expression(text)?);
        ensure!(!names.selectors.is_empty(), "{text}: no metric in it");
        let mut labels: BTreeSet<String> = TARGET.map(str::to_owned).into();
        for (metric, matchers) in &names.selectors {
            let own = self.answer(metric, matchers);
            labels.extend(own.with_context(|| format!("in the expression {text}"))?);
        }
        for label in &names.labels {
            ensure!(labels.contains(label), "{text}: no series in it has the label {label}");
        }
        Ok(labels)
    }

    fn answer(&self, metric: &str, matchers: &[Matcher]) -> Result<BTreeSet<String>> {
        let own = OWN.iter().find(|(name, _)| *name == metric);
        let series: Vec<_> = self.series.iter().filter(|(name, _)| name == metric).collect();
        ensure!(own.is_some() || !series.is_empty(), "there is no metric {metric}");
        let mut labels: BTreeSet<String> = series.iter().flat_map(|(_, l)| l.keys().cloned()).collect();
        labels.extend(own.iter().flat_map(|(_, l)| l.iter().map(|l| (*l).to_owned())));
        for Matcher { op, name: label, value } in matchers {
            if TARGET.contains(&label.as_str()) {
                continue;
            }
            ensure!(labels.contains(label), "{metric} has no label {label}");
            let regex = matches!(op, MatchOp::Re(_) | MatchOp::NotRe(_));
            let values = value.split(if regex { '|' } else { '\n' });
            for value in values.filter(|_| own.is_none()) {
                let has = series.iter().any(|(_, l)| l.get(label).is_some_and(|v| v == value));
                ensure!(has, "{metric} has never {label}=\"{value}\"");
            }
        }
        Ok(labels)
    }
}

fn expression(text: &str) -> Result<Expr> {
    parse(text).map_err(|error| anyhow!("{text}: {error}"))
}

/// The metric of a selector, and its matchers.
fn parts(selector: &VectorSelector) -> (String, Vec<Matcher>) {
    let name = selector.name.clone().unwrap_or_default();
    (name, selector.matchers.matchers.clone())
}

impl ExprVisitor for Names {
    type Error = Infallible;

    fn pre_visit(&mut self, part: &Expr) -> Result<bool, Infallible> {
        let modifier = match part {
            Expr::VectorSelector(selector) => {
                self.selectors.push(parts(selector));
                None
            }
            Expr::MatrixSelector(range) => {
                self.selectors.push(parts(&range.vs));
                None
            }
            Expr::Aggregate(aggregate) => aggregate.modifier.as_ref(),
            Expr::Binary(binary) => binary.modifier.as_ref().and_then(|modifier| {
                let joined = modifier.card.labels().into_iter().flat_map(|l| l.labels.clone());
                self.labels.extend(joined);
                modifier.matching.as_ref()
            }),
            _ => None,
        };
        let labels = modifier.map(LabelModifier::labels).into_iter();
        self.labels.extend(labels.flat_map(|l| l.labels.clone()));
        Ok(true)
    }
}

const PAGE: &str = "# TYPE a gauge\na{state=\"on\",n=\"1\"} 1\na{state=\"off\"} 0\nb_total 3\n";

#[test]
fn expression_is_taken_apart_into_metrics_matchers_and_labels() -> Result<()> {
    let text =
        r#"sum by (state) (rate(a{state=~"on|off", n!="1"}[5m])) / ignoring(n) b_total > 2.5e3 and on (job) up == 1"#;
    let mut names = Names::default();
    let Ok(_) = walk_expr(&mut names, &expression(text)?);
    let metrics: Vec<_> = names.selectors.iter().map(|(metric, _)| metric.as_str()).collect();
    assert_eq!(metrics, ["a", "b_total", "up"]);
    let matchers: Vec<_> = names.selectors[0].1.iter().map(ToString::to_string).collect();
    assert_eq!(matchers, [r#"state=~"on|off""#, r#"n!="1""#]);
    assert_eq!(names.labels, ["job", "n", "state"].map(str::to_owned).into());
    Ok(())
}

#[test]
fn page_answers_what_it_has_and_names_what_it_lacks() -> Result<()> {
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
