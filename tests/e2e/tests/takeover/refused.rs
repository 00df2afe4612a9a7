//! What is refused before anything is changed.

use anyhow::{Result, ensure};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::sim_image;

use crate::world::World;

/// Fails unless `takeover` with these arguments ends with `code` and those words, and the predecessor runs on untouched.
fn ensure_refused(world: &World<'_>, args: &[&str], code: i32, words: &str) -> Result<()> {
    let before = world.inspect(&world.name)?;
    let refused = world.takeover(args)?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(
        refused.status.code() == Some(code) && said.contains(words),
        "{}: {said}, wanted {code}: {words}",
        refused.status
    );
    let after = world.inspect(&world.name)?;
    for part in ["State", "HostConfig", "Name"] {
        ensure!(before[part] == after[part], "{part} was changed: {}", after[part]);
    }
    Ok(())
}

#[test]
fn takeover_without_agent_terminal_or_container_changes_nothing() -> Result<()> {
    let engine = Engine::shared()?;
    let mut world = World::new(&engine, "refused", &["--restart", "always"])?;
    ensure_refused(&world, &["--yes"], 1, "no agent runs with")?;
    ensure_refused(&world, &["--undo", "--yes"], 1, "was not taken over")?;
    world.agent.start()?;
    world.agent.wait_phase("backoff", t0rn_agent_tests::wait::SOON)?;
    ensure_refused(&world, &[], 2, "give --yes")?;
    let missing = world.agent.cli(["takeover", "nowhere-at-all", "--yes"])?;
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    ensure!(
        missing.status.code() == Some(1) && said.contains("docker ps -a"),
        "{said}"
    );
    Ok(())
}

#[test]
fn takeover_beside_a_third_container_on_the_data_changes_nothing() -> Result<()> {
    let engine = Engine::shared()?;
    let mut world = World::new(&engine, "third", &[])?;
    world.agent.start()?;
    let third = format!("{}-third", world.name);
    let volume = format!("{}:/elsewhere", world.agent.data().display());
    engine.docker(["run", "-d", "--name", &third, "-v", &volume, &sim_image::sim(&engine)?])?;
    let refused = ensure_refused(&world, &["--yes", "--force"], 1, &format!("docker stop {third}"));
    engine.docker(["rm", "-fv", &third])?;
    refused
}

#[test]
fn takeover_with_another_image_data_or_directory_changes_nothing() -> Result<()> {
    let engine = Engine::shared()?;
    let mut world = World::new(&engine, "other", &[])?;
    let image = format!("t0rn-takeover-{}:other", std::process::id());
    sim_image::variant(&engine, &image, &[])?;
    let own = world.config()?["collator"]["image"].clone();
    world.agent.set("collator.image", image.clone())?;
    world.agent.start()?;
    let refused = ensure_refused(&world, &["--yes"], 1, "update afterwards");
    world.agent.set("collator.image", own)?;
    let elsewhere = world.agent.data().with_file_name("elsewhere");
    let data = world.config()?["data"]["path"].clone();
    world.agent.set("data.path", elsewhere.display().to_string())?;
    let other_data = ensure_refused(&world, &["--yes", "--force"], 1, "does not have data.path");
    world.agent.set("data.path", data)?;
    world
        .agent
        .set("collator.command", vec!["--base-path", "/node/data/below"])?;
    let other_directory = ensure_refused(&world, &["--yes"], 1, "its --base-path is");
    engine.docker(["rm", "-fv", world.agent.container()])?;
    engine.docker(["rmi", "-f", &image])?;
    refused.and(other_data).and(other_directory)
}
