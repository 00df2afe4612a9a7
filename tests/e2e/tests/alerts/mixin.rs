//! The shipped alerts and dashboard are what the mixin renders to, and its settings reach every expression.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use t0rn_agent_tests::repository::{root, tool};
use t0rn_agent_tests::{skip, wait};

use super::read;

const NO_JSONNET: &str = "there is no jsonnet; tests/tools/setup jsonnet gets one";
const SHIPPED: [&str; 3] = [
    "prometheus/alerts.yml",
    "prometheus/remote.yml",
    "grafana/t0rn-agent.json",
];

#[test]
fn shipped_alerts_and_dashboard_are_what_the_mixin_renders_to() -> Result<()> {
    let Some(program) = tool("jsonnet") else {
        skip!(NO_JSONNET)
    };
    let dir = tempfile::tempdir()?;
    let source = root().join("dist/mixin/render.jsonnet");
    let mut command = Command::new(program);
    command
        .args(["--string", "--create-output-dirs", "--multi"])
        .arg(dir.path())
        .arg(source);
    let output = wait::run(60, &mut command)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout)?;
    ensure!(listed.lines().count() == SHIPPED.len(), "{listed}");
    for file in SHIPPED {
        let rendered = fs::read_to_string(dir.path().join(file))?;
        ensure!(
            rendered == read(&format!("dist/{file}"))?,
            "dist/{file} is old: jsonnet --string --multi dist dist/mixin/render.jsonnet"
        );
    }
    Ok(())
}

#[test]
fn job_and_runbooks_of_an_installation_reach_every_alert() -> Result<()> {
    let Some(program) = tool("jsonnet") else {
        skip!(NO_JSONNET)
    };
    let settings = "{ _config+:: { job: 'mine', runbookURL: 'https://runbooks.example/%s' } }";
    let text = format!(
        "local mixin = (import '{}') {settings};\nmixin.prometheusAlerts.groups + mixin.prometheusRemoteAlerts.groups",
        root().join("dist/mixin/mixin.libsonnet").display()
    );
    let output = wait::run(60, Command::new(program).args(["--exec", &text]))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let groups: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let rules = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
    let mut count = 0;
    for rule in rules {
        let (name, expr) = (rule["alert"].as_str(), rule["expr"].as_str());
        let (name, expr) = (name.context("no name")?, expr.context("no expr")?);
        let metrics = expr.matches("t0rn_agent_").count() + expr.matches("up{").count();
        ensure!(expr.matches("job=\"mine\"").count() == metrics, "{name}: {expr}");
        let url = format!("https://runbooks.example/{}", name.to_lowercase());
        ensure!(rule["annotations"]["runbook_url"] == url.as_str(), "{name}: {rule}");
        count += 1;
    }
    ensure!(count > 30, "{count} alerts");
    Ok(())
}
