//! What the other tests stand on does what it says: engines that may go down, a registry with a password, a resolver.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::fakes::DnsServer;
use t0rn_agent_tests::registry::Registry;
use t0rn_agent_tests::sim_container::SimContainer;
use t0rn_agent_tests::sim_image;
use t0rn_agent_tests::wait::{self, until};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_collator_outlives_a_killed_engine_that_restores_live() -> Result<()> {
    let engine = Engine::private(true)?;
    let sim = SimContainer::run(&engine, &["--restart", "unless-stopped"], &[])?;
    until("the collator", SOON, || sim.sim().best())?;
    let pid = sim.state()?["Pid"].take();
    engine.kill()?;
    ensure!(engine.docker(["ps"]).is_err());
    engine.start()?;
    ensure!(sim.state()?["Pid"] == pid);
    Ok(())
}

#[test]
fn a_stopped_engine_stops_the_collator_and_starts_it_again() -> Result<()> {
    let engine = Engine::private(false)?;
    let sim = SimContainer::run(&engine, &["--restart", "unless-stopped"], &[])?;
    until("the collator", SOON, || sim.sim().best())?;
    engine.stop()?;
    ensure!(sim.sim().best().is_err());
    engine.start()?;
    until("the collator", SOON, || sim.sim().best())?;
    ensure!(sim.read("chains/t0rn_testnet/db/full/000101.log")? == "2");
    Ok(())
}

#[test]
fn the_registry_refuses_strangers_and_serves_by_digest() -> Result<()> {
    let engine = Engine::shared()?;
    let registry = Registry::start()?;
    let digest = registry.push(&engine, &sim_image::sim(&engine)?, "collator:v1")?;
    let by_digest = format!("{}/collator@{digest}", registry.host());

    let stranger = engine.try_docker(["pull", &by_digest])?;
    ensure!(!stranger.status.success());
    ensure!(String::from_utf8_lossy(&stranger.stderr).contains("no basic auth credentials"));

    let pull = |reference: &str| {
        let mut pull = engine.command();
        wait::run(
            60,
            pull.env("DOCKER_CONFIG", registry.client_config())
                .args(["pull", reference]),
        )
    };
    let pulled = pull(&by_digest)?;
    ensure!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    engine.docker(["rmi", &by_digest])?;

    let wrong = format!("{}/collator@sha256:{}", registry.host(), "0".repeat(64));
    ensure!(!pull(&wrong)?.status.success(), "a digest that nobody pushed");
    Ok(())
}

#[test]
fn the_resolver_answers_as_long_as_it_is_told_to() -> Result<()> {
    let resolver = DnsServer::start()?;
    let ask = || {
        let mut ask = Command::new("unshare");
        ask.args([
            "--mount",
            "sh",
            "-c",
            r#"mount --bind "$0" /etc/resolv.conf && getent hosts collator.example"#,
        ]);
        ask.arg(resolver.resolv_conf())
            .env("RES_OPTIONS", "timeout:1 attempts:1");
        wait::run(20, &mut ask)
    };
    let answer = ask()?;
    ensure!(
        String::from_utf8_lossy(&answer.stdout).starts_with("127.0.0.1"),
        "{answer:?}"
    );
    resolver.set_answers(false);
    ensure!(!ask()?.status.success());
    Ok(())
}
