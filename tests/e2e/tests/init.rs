//! A collator that Docker runs already: its container becomes a configuration, and the configuration runs the same collator.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use t0rn_agent_tests::agent::{Agent, binary};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim_container::SimContainer;
use t0rn_agent_tests::sim_image;
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

#[test]
fn what_the_agent_needs_is_added_to_a_container_that_hides_its_exporters() -> Result<()> {
    let engine = Engine::shared()?;
    let image = sim_image::variant(&engine, "init-variant:v1", &["--sim-no-such-flag"])?;
    let dir = tempfile::tempdir()?;
    let (data, file) = (dir.path().join("data"), dir.path().join("agent.toml"));
    fs::create_dir(&data)?;
    let name = format!("t0rn-init-{}", std::process::id());
    let volume = format!("{}:/node/data", data.display());
    // The image's own entrypoint would end at once.
    let run = [
        "create",
        "--name",
        &name,
        "--user",
        "0",
        "--volume",
        &volume,
        "--ulimit",
        "nofile=1024",
        "--entrypoint",
        "/usr/local/bin/sim-collator",
        &image,
        "--collator",
        "--base-path",
        "/node/data",
        "--prometheus-port",
        "7001",
        "--sim-block-time",
        "500",
        "--sim-relay-block-time",
        "500",
        "--",
        "--prometheus-port",
        "9616",
    ];
    engine.docker(run)?;
    let made = made(&engine, &name, &file, &[]);
    engine.docker(["rm", "-fv", &name])?;
    let (config, said) = made?;
    ensure!(said.contains("--prometheus-external is added"), "{said}");
    ensure!(config["collator"]["user"].as_str() == Some("0:0"), "{config}");

    let mut agent = Agent::new(&engine, "hidden", &[])?;
    for (key, value) in config.into_iter().filter(|(key, _)| key != "agent") {
        agent.set(&key, value)?;
    }
    agent.start()?;
    let running = agent.wait_phase("synced", SOON);
    let entrypoint = engine
        .inspect(&name)?
        .map(|mut found| found["Config"]["Entrypoint"].take());
    drop(agent);
    engine.docker(["rm", "-fv", &name])?;
    running?;
    ensure!(
        entrypoint == Some(serde_json::json!(["/usr/local/bin/sim-collator"])),
        "{entrypoint:?}"
    );
    Ok(())
}
