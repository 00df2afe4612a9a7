//! The rules of Grafana's dashboard-linter, for the shipped dashboard.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{alerts, dashboard};

fn list<'a>(value: &'a Value, pointer: &str) -> Result<&'a Vec<Value>> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.with_context(|| format!("no list at {pointer}"))
}

/// Every panel with its title.
fn panels(dashboard: &Value) -> Result<Vec<(&str, &Value)>> {
    let panels = list(dashboard, "/panels")?.iter();
    panels
        .map(|panel| Ok((panel["title"].as_str().context("a panel without a title")?, panel)))
        .collect()
}

fn is_datasource(value: &Value) -> bool {
    value["type"] == "prometheus" && value["uid"] == "${datasource}"
}

#[test]
fn every_panel_has_title_description_unit_and_data_source() -> Result<()> {
    let dashboard = dashboard()?;
    for (title, panel) in panels(&dashboard)? {
        let texts = [
            &panel["title"],
            &panel["description"],
            &panel["fieldConfig"]["defaults"]["unit"],
        ];
        for text in texts {
            ensure!(text.as_str().is_some_and(|text| !text.is_empty()), "{title}: {panel:#}");
        }
        ensure!(
            is_datasource(&panel["datasource"]),
            "{title} has a data source of its own"
        );
        let targets = list(panel, "/targets")?;
        ensure!(!targets.is_empty(), "{title} has no query");
        for target in targets {
            ensure!(is_datasource(&target["datasource"]), "{title}: {target}");
        }
    }
    Ok(())
}

#[test]
fn every_query_is_about_the_chosen_jobs_and_instances() -> Result<()> {
    let dashboard = dashboard()?;
    let annotations = list(&dashboard, "/annotations/list")?.iter();
    let panels = panels(&dashboard)?;
    let targets = panels
        .iter()
        .map(|(_, panel)| list(panel, "/targets"))
        .collect::<Result<Vec<_>>>()?;
    for query in targets.into_iter().flatten().chain(annotations) {
        let expr = query["expr"].as_str().context("a query without expr")?;
        let selectors =
            expr.matches("t0rn_agent_").count() + expr.matches("process_").count() + expr.matches("ALERTS").count();
        let chosen = expr.matches("job=~\"$job\", instance=~\"$instance\"").count();
        ensure!(selectors == chosen && chosen > 0, "{expr}");
    }
    Ok(())
}

#[test]
fn every_counter_is_shown_as_its_increase_over_the_fitting_interval() -> Result<()> {
    let dashboard = dashboard()?;
    for (title, panel) in panels(&dashboard)? {
        for target in list(panel, "/targets")? {
            let expr = target["expr"].as_str().context("a query without expr")?;
            let counters = expr.matches("_total{").count();
            let rates = ["rate(", "increase("].map(|function| expr.matches(function).count());
            ensure!(rates.iter().sum::<usize>() == counters, "{title}: {expr}");
            ensure!(
                expr.matches("[$__rate_interval]").count() == counters,
                "{title}: {expr}"
            );
        }
    }
    Ok(())
}

#[test]
fn variables_choose_data_source_job_and_instance() -> Result<()> {
    let dashboard = dashboard()?;
    ensure!(
        dashboard["editable"] == false,
        "the next version would overwrite what was edited"
    );
    let [source, job, instance] = list(&dashboard, "/templating/list")?.as_slice() else {
        anyhow::bail!("{:#}", dashboard["templating"]);
    };
    ensure!(
        source["name"] == "datasource" && source["label"] == "Data source",
        "{source}"
    );
    ensure!(
        source["type"] == "datasource" && source["query"] == "prometheus",
        "{source}"
    );
    for (variable, name, label) in [(job, "job", "Job"), (instance, "instance", "Instance")] {
        ensure!(variable["name"] == name && variable["label"] == label, "{variable}");
        ensure!(
            variable["type"] == "query" && is_datasource(&variable["datasource"]),
            "{variable}"
        );
        ensure!(variable["multi"] == true && variable["allValue"] == ".+", "{variable}");
        // 2: when the time range changes.
        ensure!(variable["refresh"] == 2, "{variable}");
    }
    let query = instance["query"].as_str().context("no query")?;
    ensure!(query.contains("job=~\"$job\""), "{query}");
    Ok(())
}

#[test]
fn every_alert_is_about_the_job() -> Result<()> {
    for alert in alerts()? {
        let metrics = alert.expr.matches("t0rn_agent_").count() + alert.expr.matches("up{").count();
        let chosen = alert.expr.matches("job=\"t0rn-agent\"").count();
        ensure!(chosen == metrics, "{}: {}", alert.name, alert.expr);
    }
    Ok(())
}
