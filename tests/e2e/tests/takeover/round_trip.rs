//! There and back.

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::{LATER, SOON, until};

use crate::world::World;

#[test]
fn running_container_is_taken_over_and_given_back() -> Result<()> {
    let engine = Engine::shared()?;
    let mut world = World::new(&engine, "takeover", &["--restart", "always", "--stop-timeout", "7"])?;
    let before = world.agent.sim().best()?;
    world.agent.start()?;
    world.agent.wait_for("the agent to wait", SOON, |status| {
        status["reasons"].to_string().contains(&world.name)
    })?;
    ensure!(
        world.running()? == [world.name.as_str()],
        "the agent started a second one"
    );

    let said = world.succeeds(&[])?;
    world.ensure_taken_over()?;
    ensure!(
        said.contains("exit code 0") && said.contains("blocks arrive: "),
        "{said}"
    );
    ensure!(world.agent.sim().best()? >= before, "the data was lost");
    ensure!(world.agent.starts()? == 2, "more than one restart");
    world.agent.wait_watched()?;

    let again = world.succeeds(&[])?;
    ensure!(!again.contains("stopped"), "{again}");
    ensure!(world.agent.starts()? == 2, "it was restarted once more");

    let said = world.succeeds(&["--undo"])?;
    world.ensure_given_back("always")?;
    ensure!(said.ends_with(&format!("{} runs as before\n", world.name)), "{said}");
    ensure!(world.agent.starts()? == 3);
    let status = world.agent.wait_phase("stopped", SOON)?;
    ensure!(status["collator"]["state"] != "running", "{status}");

    world.succeeds(&[])?;
    world.ensure_taken_over()?;
    Ok(())
}

#[test]
fn container_with_the_name_of_the_agents_own_goes_there_and_back() -> Result<()> {
    let engine = Engine::shared()?;
    let mut world = World::with_one_name(&engine, "same", &["--restart", "unless-stopped"])?;
    world.agent.start()?;
    world.agent.wait_for("the agent to refuse", SOON, |status| {
        status["reasons"].to_string().contains("not managed")
    })?;
    world.succeeds(&[])?;
    world.ensure_taken_over()?;
    world.succeeds(&["--undo"])?;
    world.ensure_given_back("unless-stopped")?;
    Ok(())
}

#[test]
fn check_names_the_command_and_passes_while_the_predecessor_runs() -> Result<()> {
    let engine = Engine::shared()?;
    let world = World::new(&engine, "check", &[])?;
    let checked = world.agent.cli(["check"])?;
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    let line = |check: &str| {
        said.lines()
            .find(|line| line.contains(check))
            .unwrap_or_default()
            .to_owned()
    };
    let container = line("  container  ");
    ensure!(
        container.starts_with("WARN") && container.contains(&format!("t0rn-agent takeover {}", world.name)),
        "{said}"
    );
    ensure!(
        line("  ports  ").starts_with("PASS") && line("  exporters  ").starts_with("PASS"),
        "{said}"
    );
    Ok(())
}

#[test]
fn container_removed_on_exit_is_taken_over_by_force_alone() -> Result<()> {
    let engine = Engine::shared()?;
    let mut world = World::new(&engine, "rm", &["--rm"])?;
    world.agent.start()?;
    let refused = world.takeover(&["--yes"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(1) && said.contains("--rm"), "{said}");
    ensure!(world.runs(&world.name)?, "it was touched");
    world.succeeds(&["--force"])?;
    ensure!(world.agent.run_id().is_ok() && world.agent.starts()? == 2);
    ensure!(engine.inspect(&world.kept())?.is_none(), "Docker has kept it");
    Ok(())
}

#[test]
fn output_that_is_not_read_ends_nothing_half_way() -> Result<()> {
    let engine = Engine::shared()?;
    let mut world = World::new(&engine, "unread", &["--restart", "always"])?;
    world.agent.start()?;
    for (more, is_undone) in [(&[][..], false), (&["--undo"], true)] {
        let mut child = world.spawn(more)?;
        // The first line finds a pipe without a reader.
        drop(child.stdout.take());
        let code = until("the end of the command", LATER, || {
            child.try_wait()?.context("it still runs")
        })?;
        ensure!(code.success(), "{code}");
        if is_undone {
            world.ensure_given_back("always")?;
        } else {
            world.ensure_taken_over()?;
        }
    }
    Ok(())
}
