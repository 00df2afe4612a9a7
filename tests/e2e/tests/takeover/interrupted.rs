//! The command killed before and after each request that changes something.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use t0rn_agent_tests::agent::binary;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::SOON;

use crate::killer::{Killer, Moment};
use crate::world::World;

/// More requests than any direction has.
const REQUESTS: usize = 40;

/// A world whose command talks through the killer's sockets.
struct Interrupted<'a> {
    world: World<'a>,
    killer: Killer,
    /// The agent's configuration with the killer's socket for the engine.
    config: PathBuf,
    socket: PathBuf,
}

impl<'a> Interrupted<'a> {
    fn new(world: World<'a>) -> Result<Self> {
        let killer = Killer::default();
        let dir = world.agent.data().parent().context("no parent")?.to_owned();
        let (engine, socket) = (dir.join("engine.sock"), dir.join("command.sock"));
        killer.listen(&engine, world.agent.engine().socket())?;
        killer.listen(&socket, &world.agent.socket())?;
        let mut config = world.config()?;
        let agent = config["agent"].as_table_mut().context("no table")?;
        agent.insert("docker".to_owned(), engine.display().to_string().into());
        let path = dir.join("command.toml");
        fs::write(&path, config.to_string())?;
        Ok(Self {
            world,
            killer,
            config: path,
            socket,
        })
    }

    /// Runs `takeover` with an argument until it is killed at a request. Returns that request.
    fn kill_at(&self, number: usize, moment: Moment, more: &[&str]) -> Result<Option<String>> {
        self.killer.run(number, moment, || self.spawn(more))
    }

    fn spawn(&self, more: &[&str]) -> Result<Child> {
        let mut command = Command::new(binary()?);
        command.args(["takeover", &self.world.name, "--yes"]).args(more);
        command
            .env("T0RN_AGENT_CONFIG", &self.config)
            .env("T0RN_AGENT_SOCKET", &self.socket);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(command.spawn()?)
    }

    /// Fails when two run at a moment, until `end`.
    fn observe(&self, end: &AtomicBool) -> Result<()> {
        while !end.load(Ordering::Relaxed) {
            let running = self.world.running()?;
            ensure!(running.len() <= 1, "two run: {running:?}");
        }
        Ok(())
    }
}

/// Does `work` under the eyes of an observer.
fn observed(interrupted: &Interrupted<'_>, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        let observer = scope.spawn(|| interrupted.observe(&end));
        let done = work();
        end.store(true, Ordering::Relaxed);
        let seen = observer
            .join()
            .map_err(|_| anyhow::anyhow!("the observer has panicked"))?;
        done.and(seen)
    })
}

/// Fails unless the status names the commands that go on and back.
fn ensure_next_is_said(world: &World<'_>) -> Result<()> {
    let reasons = world.agent.status()?["reasons"].to_string();
    let takeover = format!("takeover {}", world.name);
    ensure!(
        reasons.contains("is not over")
            && reasons.contains(&takeover)
            && reasons.contains(&format!("{takeover} --undo")),
        "{reasons}"
    );
    Ok(())
}

/// Fails when the status says that one of them is to be repeated.
fn ensure_nothing_is_left(world: &World<'_>) -> Result<()> {
    let reasons = world.agent.status()?["reasons"].to_string();
    ensure!(!reasons.contains("is not over"), "{reasons}");
    Ok(())
}

#[test]
#[expect(clippy::print_stdout, reason = "a failure names its request")]
fn takeover_killed_at_each_request_is_finished_by_agent_or_next_call() -> Result<()> {
    let engine = Engine::shared()?;
    let interrupted = Interrupted::new(World::new(&engine, "kills", &["--restart", "always"])?)?;
    let Interrupted { mut world, .. } = interrupted;
    world.agent.start()?;
    let interrupted = Interrupted { world, ..interrupted };
    let world = &interrupted.world;
    observed(&interrupted, || {
        for moment in [Moment::Before, Moment::During, Moment::After] {
            for number in 0..REQUESTS {
                let Some(request) = interrupted.kill_at(number, moment, &[])? else {
                    ensure!(number >= 5, "only {number} requests");
                    world.succeeds(&["--undo"])?;
                    break;
                };
                println!("{moment:?} {number}: {request}");
                // Without another call.
                world
                    .wait_one_runs(SOON)
                    .with_context(|| format!("{moment:?} {request}"))?;
                ensure_next_is_said(world).with_context(|| format!("{moment:?} {request}"))?;
                if number % 2 == 0 {
                    world.succeeds(&[])?;
                    world.ensure_taken_over()?;
                    ensure_nothing_is_left(world)?;
                }
                world.succeeds(&["--undo"])?;
                world.ensure_given_back("always")?;
                ensure_nothing_is_left(world)?;
            }
        }
        Ok(())
    })
}

#[test]
#[expect(clippy::print_stdout, reason = "a failure names its request")]
fn undo_killed_at_each_request_is_finished_by_the_next_call() -> Result<()> {
    let engine = Engine::shared()?;
    let interrupted = Interrupted::new(World::with_one_name(
        &engine,
        "undos",
        &["--restart", "unless-stopped"],
    )?)?;
    let Interrupted { mut world, .. } = interrupted;
    world.agent.start()?;
    let interrupted = Interrupted { world, ..interrupted };
    let world = &interrupted.world;
    world.succeeds(&[])?;
    observed(&interrupted, || {
        for moment in [Moment::Before, Moment::During, Moment::After] {
            for number in 0..REQUESTS {
                let Some(request) = interrupted.kill_at(number, moment, &["--undo"])? else {
                    ensure!(number >= 5, "only {number} requests");
                    world.succeeds(&[])?;
                    break;
                };
                println!("{moment:?} {number}: {request}");
                ensure_next_is_said(world).with_context(|| format!("{moment:?} {request}"))?;
                if number % 2 == 0 {
                    world.succeeds(&["--undo"])?;
                    world.ensure_given_back("unless-stopped")?;
                }
                world.succeeds(&[])?;
                world.ensure_taken_over()?;
            }
        }
        Ok(())
    })
}
