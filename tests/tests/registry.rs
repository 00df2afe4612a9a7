//! The registry of the tests is a real one: it asks for a password and serves by digest.

use anyhow::{Result, ensure};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::image;
use t0rn_agent_tests::registry::Registry;
use t0rn_agent_tests::wait;

#[test]
fn it_refuses_strangers_and_serves_by_digest() -> Result<()> {
    let engine = Engine::shared()?;
    let registry = Registry::start()?;
    let digest = registry.push(&engine, &image::sim(&engine)?, "collator:v1")?;
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
