//! A collator that Docker runs already: its container becomes a configuration, and the configuration runs the same collator.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use t0rn_agent_tests::agent::{Agent, binary};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim_container::SimContainer;
use t0rn_agent_tests::wait::{SOON, run, until_value};
use toml::Table;

const SIM: [&str; 11] = [
    "--prometheus-port",
    "7001",
    "--prometheus-external",
    "--sim-block-time",
    "500",
    "--sim-relay-block-time",
    "500",
    "--",
    "--prometheus-port",
    "9616",
    "--prometheus-external",
];

/// Runs `init --from-container` to a file.
fn init(engine: &Engine, name: &str, file: &Path, more: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command
        .args(["init", "--from-container", name, "--docker"])
        .arg(engine.socket());
    command.arg("--output").arg(file).args(more);
    run(30, &mut command)
}

fn made(engine: &Engine, name: &str, file: &Path, more: &[&str]) -> Result<(Table, String)> {
    let output = init(engine, name, file, more)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let checked = run(30, Command::new(binary()?).args(["config", "check"]).arg(file))?;
    ensure!(checked.status.success(), "{}: {checked:?}", fs::read_to_string(file)?);
    Ok((fs::read_to_string(file)?.parse()?, said))
}

#[test]
fn configuration_from_a_container_runs_the_same_collator() -> Result<()> {
    let engine = Engine::shared()?;
    let docker = [
        "--env",
        "SEED=bottom drive obey",
        "--memory",
        "256m",
        "--log-opt",
        "max-size=10m",
        "--stop-timeout",
        "20",
        "--ulimit",
        "nofile=1024",
    ];
    let old = SimContainer::run(&engine, &docker, &SIM)?;
    let before = until_value("some blocks", SOON, || old.sim().best(), |best| *best > 100)?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("agent.toml");

    let (config, said) = made(&engine, old.name(), &file, &[])?;
    ensure!(
        fs::metadata(&file)?.permissions().mode() & 0o777 == 0o600,
        "others can read it"
    );
    ensure!(said.contains("SEED") && !said.contains("bottom drive obey"), "{said}");
    let collator = &config["collator"];
    let [parachain, relaychain] = old.exporters();
    ensure!(collator["container"].as_str() == Some(old.name()), "{config}");
    ensure!(
        collator["env"]["SEED"].as_str() == Some("bottom drive obey"),
        "{config}"
    );
    ensure!(
        collator["memory"].as_str() == Some("256MiB") && collator["user"].as_str() == Some("1000:1000"),
        "{config}"
    );
    ensure!(collator["stop_timeout"].as_str() == Some("20s"), "{config}");
    ensure!(config["data"]["path"].as_str() == old.data().to_str(), "{config}");
    for (chain, port) in [("parachain", parachain), ("relaychain", relaychain)] {
        let url = format!("http://127.0.0.1:{port}/metrics");
        ensure!(config["chains"][chain]["metrics"].as_str() == Some(&url), "{config}");
    }
    let text = fs::read_to_string(&file)?;
    ensure!(
        text.contains("# It says: chain t0rn_testnet"),
        "the exporter was not asked: {text}"
    );

    // A second time it is refused, and what is there stays.
    let refused = init(&engine, old.name(), &file, &[])?;
    ensure!(
        refused.status.code() == Some(2) && fs::read_to_string(&file)? == text,
        "{refused:?}"
    );

    // Of the stopped container, the same but for what its exporters say.
    engine.docker(["stop", old.name()])?;
    let (stopped, said) = made(&engine, old.name(), &file, &["--force"])?;
    ensure!(stopped == config, "{stopped}");
    ensure!(said.contains("exited: its exporters were not asked"), "{said}");

    let aside = format!("{}-old", old.name());
    engine.docker(["rename", old.name(), &aside])?;
    let mut agent = Agent::new(&engine, "init", &[])?;
    for (key, value) in config.into_iter().filter(|(key, _)| key != "agent") {
        agent.set(&key, value)?;
    }
    agent.start()?;
    let running = agent
        .wait_phase("synced", SOON)
        .and_then(|status| Ok((status, old.sim().best()?)));
    drop(agent);
    engine.docker(["rm", "-fv", &aside])?;
    let (status, height) = running?;
    ensure!(status["chains"]["relaychain"]["peers"] == 8, "{status}");
    ensure!(height >= before, "it does not go on where the old one ended: {height}");
    Ok(())
}
