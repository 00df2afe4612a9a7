//! A collator of Docker Compose itself, which finds its containers by their labels, under any name.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait::{SOON, run, until_value};

use crate::world::World;

/// A project whose containers and network go with the value.
struct Project {
    /// `docker compose`, or the older `docker-compose`.
    program: &'static [&'static str],
    socket: PathBuf,
    file: PathBuf,
    name: String,
}

impl Project {
    fn compose(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(self.program[0]);
        command
            .args(&self.program[1..])
            .args(["-p", &self.name, "-f"])
            .arg(&self.file)
            .args(args);
        command.env("DOCKER_HOST", format!("unix://{}", self.socket.display()));
        run(60, &mut command)
    }

    fn up(&self) -> Result<()> {
        let up = self.compose(&["up", "-d"])?;
        ensure!(up.status.success(), "{up:?}");
        Ok(())
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.compose(&["down"]);
    }
}

/// The program that is on this host, if any.
fn program() -> Option<&'static [&'static str]> {
    let programs: [&'static [&'static str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    programs.into_iter().find(|program| {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg("version");
        run(30, &mut command).is_ok_and(|output| output.status.success())
    })
}

/// The agent's own collator as a service of a compose file.
fn file(world: &World<'_>) -> Result<String> {
    let config = world.config()?;
    let collator = &config["collator"];
    Ok(format!(
        "version: \"3\"\nservices:\n  node:\n    image: {}\n    restart: unless-stopped\n    command: {}\n    ports: {}\n    \
         volumes: [\"{}:/node/data\"]\n",
        collator["image"].as_str().context("no image")?,
        serde_json::to_string(&collator["command"])?,
        serde_json::to_string(&collator["ports"])?,
        world.agent.data().display()
    ))
}

#[test]
fn container_of_compose_goes_there_and_back_and_compose_up_adds_no_second_one() -> Result<()> {
    let Some(program) = program() else {
        skip!("there is no docker compose here");
    };
    let engine = Engine::shared()?;
    let agent = Agent::new(&engine, "composed", &SYNCING)?;
    fs::create_dir(agent.data())?;
    chown(agent.data(), Some(1000), Some(1000))?;
    let mut world = World {
        name: String::new(),
        agent,
    };
    let project = Project {
        program,
        socket: engine.socket().to_owned(),
        file: world.agent.data().with_file_name("compose.yml"),
        name: world.agent.container().to_owned(),
    };
    fs::write(&project.file, file(&world)?)?;
    project.up()?;
    world.name = world.running()?.pop().context("compose started nothing")?;
    until_value("some blocks", SOON, || world.agent.sim().best(), |best| *best > 20)?;
    let before = world.inspect(&world.name)?["Id"].clone();
    world.agent.start()?;
    world.agent.wait_for("the agent to wait", SOON, |status| {
        status["reasons"].to_string().contains(&world.name)
    })?;

    let said = world.succeeds(&[])?;
    world.ensure_taken_over()?;
    ensure!(
        said.contains(&format!(
            "compose project {}: docker compose up starts it again",
            project.name
        )),
        "{said}"
    );
    // The ports are taken, and the database is locked.
    let _ = project.compose(&["up", "-d"])?;
    ensure!(world.running()? == [world.agent.container()], "{:?}", world.running()?);
    world.agent.starts()?;

    // In the place of the agent's, which is stopped, it runs alone, until the command is repeated.
    world.agent.ok(["stop"])?;
    world.agent.wait_down(SOON)?;
    project.up()?;
    ensure!(world.running()? == [world.kept()], "{:?}", world.running()?);
    world.succeeds(&[])?;
    world.ensure_taken_over()?;

    world.succeeds(&["--undo"])?;
    project.up()?;
    world.ensure_given_back("unless-stopped")?;
    ensure!(world.inspect(&world.name)?["Id"] == before, "compose has made another");
    Ok(())
}
