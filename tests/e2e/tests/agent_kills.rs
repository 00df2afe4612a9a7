//! The agent killed at random points of everything it does.

use std::env;
use std::process::Child;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use t0rn_agent_tests::agent::Agent;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::registry::Registry;
use t0rn_agent_tests::sim_image;
use t0rn_agent_tests::wait::{SOON, until};

/// Agents that are killed side by side, and how often each.
const AGENTS: u8 = 5;
const ROUNDS: u8 = 10;
/// Longest time from the beginning of an operation until the kill.
const WITHIN_MS: u64 = 1_800;
/// Blocks per second, and the most that a kill of the collator may cost.
const SPEED: u64 = 100;
const LOSS: u64 = 3 * SPEED;

/// What is under way when the agent is killed.
#[derive(Debug, Clone, Copy)]
enum Work {
    Pull,
    Create,
    Recreate,
    Restart,
    Stop,
    Start,
}

const WORK: [Work; 6] = [
    Work::Pull,
    Work::Create,
    Work::Recreate,
    Work::Restart,
    Work::Stop,
    Work::Start,
];

struct Random(u64);

impl Random {
    /// xorshift: the same seed gives the same kills.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a failure is repeated with its seed")]
fn killed_at_any_point_it_goes_on_with_one_container_and_its_data() -> Result<()> {
    let seed = match env::var("T0RN_TEST_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos()) | 1,
    };
    println!("T0RN_TEST_SEED={seed}");
    thread::scope(|scope| {
        let agents: Vec<_> = (0..AGENTS)
            .map(|agent| scope.spawn(move || kill(agent, seed)))
            .collect();
        let mut ends = agents
            .into_iter()
            .map(|agent| agent.join().map_err(|_| anyhow!("a panic"))?);
        ends.try_for_each(|end| end)
    })
}

/// Kills one agent again and again.
#[expect(clippy::print_stdout, reason = "a failure is repeated with its seed")]
fn kill(number: u8, seed: u64) -> Result<()> {
    let mut random = Random(seed.wrapping_add(u64::from(number) << 32));
    let engine = Engine::shared()?;
    let registry = Registry::start()?;
    let repository = format!("killed{number}:v1");
    registry.push(&engine, &sim_image::sim(&engine)?, &repository)?;
    let reference = format!("{}/{repository}", registry.host());
    let rate = SPEED.to_string();
    let mut agent = Agent::new(&engine, "anywhere", &["--sim-target", "10000000", "--sim-speed", &rate])?;
    agent.set("collator.image", reference.clone())?;
    agent.set("collator.registry_auth", registry.auth_file())?;
    agent.set("collator.env.GENERATION", "0")?;
    agent.start()?;
    agent.wait_watched()?;

    let mut height = 0;
    let mut generation = 0;
    for round in 0..ROUNDS {
        let work = WORK[usize::try_from(random.below(WORK.len() as u64))?];
        let after = Duration::from_millis(random.below(WITHIN_MS));
        let what = format!("agent {number}, round {round}, killed {after:?} into {work:?}");
        println!("{what}");
        if matches!(work, Work::Recreate) {
            generation += 1;
        }
        let client = begin(&engine, &mut agent, work, &reference, generation).context(what.clone())?;
        thread::sleep(after);
        agent.kill()?;
        if let Some(mut client) = client {
            client.wait()?;
        }
        agent.start()?;
        if matches!(work, Work::Stop | Work::Start) {
            until("the agent to take the start", SOON, || agent.ok(["start"])).context(what.clone())?;
        }
        height = until("the collator to run on", SOON, || check(&agent, height, generation)).context(what)?;
    }
    Ok(())
}

/// Begins a piece of work. Returns the client command that asked for it.
fn begin(engine: &Engine, agent: &mut Agent, work: Work, image: &str, generation: u32) -> Result<Option<Child>> {
    match work {
        Work::Restart => return agent.spawn_cli(["restart"]).map(Some),
        Work::Stop => return agent.spawn_cli(["stop"]).map(Some),
        Work::Start => {
            agent.ok(["stop"])?;
            agent.wait_phase("stopped", SOON)?;
            return agent.spawn_cli(["start"]).map(Some);
        }
        Work::Pull | Work::Create => {
            agent.kill()?;
            engine.docker(["rm", "-f", agent.container()])?;
            if matches!(work, Work::Pull) {
                engine.docker(["rmi", image])?;
            }
        }
        Work::Recreate => {
            agent.kill()?;
            agent.set("collator.env.GENERATION", generation.to_string())?;
        }
    }
    agent.start()?;
    Ok(None)
}

/// One container, of the right kind, with its data. Returns the height.
fn check(agent: &Agent, height: u64, generation: u32) -> Result<u64> {
    agent.run_id()?;
    let inspect = agent.inspect()?.context("no container")?;
    let env = inspect["Config"]["Env"].to_string();
    ensure!(
        env.contains(&format!("\"GENERATION={generation}\"")),
        "another spec: {env}"
    );
    let all = agent.containers_on_data()?;
    ensure!(all == [agent.container()], "containers on the data: {all:?}");
    agent.starts()?;
    let best = agent.sim().best()?;
    if best + LOSS < height {
        bail!("the data was lost: {best} after {height}");
    }
    let status = agent.status()?;
    ensure!(status["phase"] == "syncing", "{status}");
    Ok(best)
}
