//! What is shipped for Prometheus and Grafana fits the agent's page, and every alert does what it is for.

mod linter;
mod mixin;
mod promql;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::binary;
use t0rn_agent_tests::repository::{agent_snapshot, root, tool};
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait;

use promql::Page;

const NO_PROMTOOL: &str = "there is no promtool; tests/tools/setup prometheus gets one";

fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| path.to_owned())
}

/// What the agent renders when it knows everything: the snapshot that its own test holds it to.
fn page() -> Result<String> {
    agent_snapshot("the_page_of_an_agent_that_knows_everything")
}

/// Runs promtool in the folder of the rules.
fn promtool(program: &Path, words: &[&str], stdin: Stdio) -> Result<String> {
    let output = Command::new(program)
        .args(words)
        .current_dir(root().join("dist/prometheus"))
        .stdin(stdin)
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    ensure!(output.status.success(), "promtool {}: {text}", words.join(" "));
    Ok(text)
}

#[derive(Clone)]
struct Alert {
    name: String,
    expr: String,
    /// The rule's text as a whole.
    text: String,
}

/// The rules, in their file's own fixed form.
fn alerts() -> Result<Vec<Alert>> {
    alerts_of("dist/prometheus/alerts.yml")
}

fn alerts_of(file: &str) -> Result<Vec<Alert>> {
    let file = read(file)?;
    let rules = file.split("\n      - alert: ").skip(1);
    let alerts = rules.map(|text| {
        let name = text.lines().next().context("no name")?.trim().to_owned();
        let expr = text.lines().find_map(|line| line.strip_prefix("        expr: "));
        Ok(Alert {
            expr: expr.with_context(|| format!("{name} has no expr"))?.to_owned(),
            name,
            text: text.to_owned(),
        })
    });
    let alerts: Vec<_> = alerts.collect::<Result<_>>()?;
    let all = file.matches("alert:").count();
    ensure!(
        alerts.len() == all && all > 0,
        "{all} alerts, {} of them understood",
        alerts.len()
    );
    Ok(alerts)
}

/// Values of an annotation.
fn annotation<'a>(alert: &'a Alert, key: &str) -> Result<&'a str> {
    let prefix = format!("          {key}: ");
    let line = alert.text.lines().find_map(|line| line.strip_prefix(&prefix));
    let quoted = line.with_context(|| format!("{} has no {key}", alert.name))?;
    quoted
        .strip_prefix('"')
        .and_then(|l| l.strip_suffix('"'))
        .context("not in quotes")
}

fn dashboard() -> Result<Value> {
    Ok(serde_json::from_str(&read("dist/grafana/t0rn-agent.json")?)?)
}

/// Every query of the dashboard with the labels that its legend shows; variables stand for what they become.
fn queries(dashboard: &Value) -> Result<Vec<(String, String)>> {
    let mut queries = Vec::new();
    let mut add = |query: &Value| {
        let expr = query["expr"].as_str().context("a query without expr")?;
        let expr = ["$job", "$instance"]
            .iter()
            .fold(expr.to_owned(), |expr, name| expr.replace(name, ".*"));
        let expr = expr.replace("$__rate_interval", "5m");
        ensure!(!expr.contains('$'), "{expr}: a variable that is not understood");
        let legend = query["legendFormat"].as_str().unwrap_or_default();
        queries.push((expr, legend.to_owned()));
        Ok(())
    };
    for panel in dashboard["panels"].as_array().context("no panels")? {
        let targets = panel["targets"]
            .as_array()
            .filter(|t| !t.is_empty())
            .context("no targets")?;
        targets.iter().try_for_each(&mut add)?;
    }
    let annotations = dashboard["annotations"]["list"].as_array().context("no annotations")?;
    annotations.iter().try_for_each(&mut add)?;
    for variable in dashboard["templating"]["list"].as_array().context("no variables")? {
        if variable["type"] == "query" {
            let query = variable["query"].as_str().context("no query")?;
            let (metric, label) = query
                .strip_prefix("label_values(")
                .and_then(|q| q.strip_suffix(')')?.split_once(", "))
                .with_context(|| format!("{query} is not understood"))?;
            queries.push((metric.replace("$job", ".*"), format!("{{{{{label}}}}}")));
        }
    }
    Ok(queries)
}

/// The labels in `{{…}}` of a template.
fn labels<'a>(template: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    template.split("{{").skip(1).filter_map(move |rest| {
        let inside = rest.split("}}").next()?.trim();
        inside.strip_prefix(prefix)
    })
}

#[test]
fn prometheus_takes_the_page_and_finds_no_fault_in_its_names() -> Result<()> {
    let Some(program) = tool("promtool") else {
        skip!(NO_PROMTOOL)
    };
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), page()?)?;
    promtool(&program, &["check", "metrics"], fs::File::open(file.path())?.into())?;
    Ok(())
}

#[test]
fn openmetrics_page_is_read_by_the_reference_parser() -> Result<()> {
    let Some(program) = tool("openmetrics") else {
        skip!("there is no parser of OpenMetrics; tests/tools/setup openmetrics gets one")
    };
    let page = agent_snapshot("the_openmetrics_page_of_an_agent_that_knows_everything")?;
    let families = page.lines().filter(|line| line.starts_with("# TYPE ")).count();
    let read = |page: &str| -> Result<String> {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), page)?;
        let output = Command::new(&program).stdin(fs::File::open(file.path())?).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    ensure!(read(&page)?.trim() == format!("{families} families"));
    ensure!(read(&page.replace("# EOF", "")).is_err() && read(&page.replace("_total", "")).is_err());
    Ok(())
}

#[test]
fn prometheus_takes_the_rules_and_the_scrape_configuration() -> Result<()> {
    let Some(program) = tool("promtool") else {
        skip!(NO_PROMTOOL)
    };
    let said = promtool(&program, &["check", "rules", "alerts.yml"], Stdio::null())?;
    ensure!(said.contains(&format!("{} rules found", alerts()?.len())), "{said}");
    // The path in it is where an operator puts the rules.
    let config = read("dist/prometheus/scrape.yml")?;
    let rules = root().join("dist/prometheus/alerts.yml").display().to_string();
    let here = config.replace("/etc/prometheus/rules/t0rn-agent/alerts.yml", &rules);
    ensure!(here != config, "scrape.yml does not load the rules");
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), here)?;
    let said = promtool(
        &program,
        &["check", "config", &file.path().display().to_string()],
        Stdio::null(),
    )?;
    ensure!(said.contains("1 rule files found"), "{said}");
    Ok(())
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() -> Result<()> {
    let tests = read("dist/prometheus/alerts.test.yml")?;
    let tests: Vec<_> = tests.split("\n  - name: '").skip(1).collect();
    for alert in alerts()? {
        let own: Vec<_> = tests
            .iter()
            .filter(|t| t.starts_with(&format!("{}: ", alert.name)))
            .collect();
        ensure!(!own.is_empty(), "alerts.test.yml does not test {}", alert.name);
        let fires = format!("exp_samples: [{{labels: '{{alertname=\"{}\"", alert.name);
        ensure!(
            own.iter().any(|test| test.contains(&fires)),
            "{} fires in none of its tests",
            alert.name
        );
        for test in own {
            ensure!(
                test.contains("exp_samples: []") && test.contains("instance=\"good\""),
                "{} has no case that does not fire in its test",
                alert.name
            );
        }
    }
    let Some(program) = tool("promtool") else {
        skip!(NO_PROMTOOL)
    };
    promtool(&program, &["test", "rules", "alerts.test.yml"], Stdio::null())?;
    Ok(())
}

#[test]
fn every_alert_asks_for_what_the_agent_tells_and_says_what_to_type() -> Result<()> {
    let page = Page::parse(&page()?)?;
    for alert in alerts()? {
        let name = &alert.name;
        let known = page.answers(&alert.expr).context(name.clone())?;
        let severity = ["critical", "warning"].map(|s| format!("labels: {{severity: {s}}}"));
        ensure!(
            severity.iter().any(|s| alert.text.contains(s)),
            "{name} has no severity"
        );
        for key in ["summary", "remedy"] {
            for label in labels(annotation(&alert, key)?, "$labels.") {
                ensure!(
                    known.contains(label),
                    "{name}: its {key} shows a label {label} that it has not"
                );
            }
        }
        for command in annotation(&alert, "remedy")?.split(';') {
            let command = command.split_once(": ").map_or(command, |(_, command)| command).trim();
            let command = command.split(" (").next().unwrap_or(command);
            if let Some(words) = command.strip_prefix("t0rn-agent ") {
                // --help comes last, so everything before it is parsed and nothing is done.
                let words = words.split_whitespace().chain(["--help"]);
                let output = wait::run(10, Command::new(binary()?).args(words))?;
                ensure!(output.status.success(), "{name}: there is no command {command}");
            }
        }
    }
    Ok(())
}

#[test]
fn every_alert_is_explained_to_operators_and_nothing_else_is() -> Result<()> {
    let document = read("docs/alerts.md")?;
    let headings = document.lines().filter_map(|line| line.strip_prefix("### "));
    let explained: Vec<_> = headings.collect();
    let alerts = [alerts()?, alerts_of("dist/prometheus/remote.yml")?].concat();
    let expected: Vec<_> = alerts.iter().map(|a| a.name.as_str()).collect();
    ensure!(
        explained == expected,
        "explained: {explained:#?}\nthere are: {expected:#?}"
    );
    Ok(())
}

#[test]
fn every_alert_leads_to_its_heading_in_the_documents() -> Result<()> {
    for alert in [alerts()?, alerts_of("dist/prometheus/remote.yml")?].concat() {
        let url = annotation(&alert, "runbook_url")?;
        let path = url.strip_prefix("https://github.com/t3rn/t0rn-agent/blob/main/");
        let (path, anchor) = path.and_then(|path| path.split_once('#')).context(url.to_owned())?;
        let document = read(path)?;
        let mut headings = document.lines().filter_map(|line| line.strip_prefix("### "));
        ensure!(
            headings.any(|heading| heading == alert.name && heading.to_lowercase() == anchor),
            "{url}: there is no such heading"
        );
    }
    Ok(())
}

#[test]
fn every_query_of_the_dashboard_is_one_and_asks_for_what_the_agent_tells() -> Result<()> {
    let page = Page::parse(&page()?)?;
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (n, (expr, legend)) in queries(&dashboard()?)?.into_iter().enumerate() {
        let known = page.answers(&expr)?;
        for label in labels(&legend, "") {
            ensure!(known.contains(label), "{expr} has no label {label} for its legend");
        }
        writeln!(rules, "      - record: query:{n}\n        expr: {}", Value::from(expr))?;
    }
    let Some(program) = tool("promtool") else {
        skip!(NO_PROMTOOL)
    };
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), rules)?;
    promtool(
        &program,
        &["check", "rules", &file.path().display().to_string()],
        Stdio::null(),
    )?;
    Ok(())
}

#[test]
fn every_metric_of_the_agent_is_on_the_dashboard() -> Result<()> {
    let queries = queries(&dashboard()?)?;
    let page = page()?;
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let metrics = types.filter_map(|line| line.split(' ').next());
    let shown = |name: &str| {
        let mentions = |expr: &str| {
            let mut words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.any(|word| word == name)
        };
        // A budget alone shows nothing: what is left of it does.
        name == "t0rn_agent_restart_budget" || queries.iter().any(|(expr, _)| mentions(expr))
    };
    let missing: Vec<_> = metrics.filter(|name| !shown(name)).collect();
    ensure!(missing.is_empty(), "not on the dashboard: {missing:?}");
    Ok(())
}

#[test]
fn the_panels_of_the_dashboard_lie_side_by_side() -> Result<()> {
    let dashboard = dashboard()?;
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().context("no panels")? {
        let (title, place) = (&panel["title"], &panel["gridPos"]);
        ensure!(ids.insert(panel["id"].as_u64()), "{title} has the id of another");
        let number = |key: &str| place[key].as_u64().with_context(|| format!("{title} has no {key}"));
        let (x, y, w, h) = (number("x")?, number("y")?, number("w")?, number("h")?);
        ensure!(x + w <= 24 && w > 0 && h > 0, "{title} does not fit");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            ensure!(taken.insert(cell), "{title} lies over another panel");
        }
    }
    Ok(())
}
