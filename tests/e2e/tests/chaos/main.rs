//! Everything around the agent hit at random, one to three faults at a time, and an observer that sees only the outside.
//!
//! Each episode says beforehand how many starts of the collator its faults can cause. What an undisturbed agent does not
//! explain fails: one start more is a restart of something healthy, one fewer is a fault that was not acted on.
//! `CHAOS_MINUTES` is how long it lasts, `T0RN_TEST_SEED` repeats one.

mod faults;
mod observer;
mod state_disk;

use std::env;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::wait::{LATER, until};

use self::faults::{Site, Starts};
use self::observer::Observer;
use self::state_disk::StateDisk;

/// How long one run lasts.
const MINUTES: u64 = 3;
/// Blocks that an end without warning may cost, at 50 a second.
const LOSS: u64 = 500;
/// Silence shorter than this restarts nothing, on a machine that is busy.
const WINDOW: &str = "15s";

/// splitmix64: the same seed gives the same faults.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = usize::try_from(self.range(0, from.len().checked_sub(1)? as u64)).ok()?;
        from.get(index).copied()
    }

    fn seconds(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.range(low * 1000, high * 1000))
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a failure is repeated with its seed")]
fn random_faults_restart_what_they_end_and_nothing_else() -> Result<()> {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>()).transpose();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = number("T0RN_TEST_SEED")?.unwrap_or_else(|| u64::from(now.subsec_nanos()));
    let minutes = number("CHAOS_MINUTES")?.unwrap_or(MINUTES);
    println!("T0RN_TEST_SEED={seed} CHAOS_MINUTES={minutes}");
    let mut random = Random(seed);

    let engine = Engine::private(true)?;
    let mut agent = Agent::new(&engine, "chaos", &SYNCING)?;
    for key in ["stall_after", "isolated_after", "frozen_after", "startup_grace"] {
        agent.set(&format!("health.{key}"), WINDOW)?;
    }
    agent.set("restart.budget", 100)?;
    agent.set("restart.budget_window", "10m")?;
    agent.set("restart.backoff_reset", "1s")?;
    let disk = StateDisk::mount(&agent.state_dir())?;
    agent.start()?;
    agent.wait_watched()?;
    let observer = Observer::start(agent.data());

    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut episodes = 0;
    let mut counts = Counts::of(&agent)?;
    let mut before = Vec::new();
    while Instant::now() < end {
        let chosen = faults::choose(&mut random, &disk);
        episodes += 1;
        println!("episode {episodes}: {chosen:?}");
        let mut site = Site {
            engine: &engine,
            agent: &mut agent,
            disk: &disk,
            observer: &observer,
            random: &mut random,
        };
        let expected = faults::inflict(&chosen, &before, &mut site).with_context(|| format!("{chosen:?}"))?;
        counts = settled(&agent, counts, expected).with_context(|| format!("after {chosen:?}, {expected:?}"))?;
        observer.result()?;
        before = chosen;
    }
    ensure!(episodes > 0, "no time for a single fault");
    let looks = observer.end()?;
    println!("{episodes} episodes, {} starts, {looks} looks", counts.starts);
    ensure!(looks > 0, "the observer saw nothing");
    Ok(())
}

/// What the outside counts.
#[derive(Debug, Clone, Copy)]
struct Counts {
    /// Starts of the collator, by its own data.
    starts: u64,
    /// Health restarts, by the agent.
    health: u64,
    height: u64,
}

impl Counts {
    fn of(agent: &Agent<'_>) -> Result<Self> {
        let status = agent.status()?;
        Ok(Self {
            starts: agent.starts()?,
            health: health_restarts(&status)?,
            height: agent.sim().best()?,
        })
    }
}

fn health_restarts(status: &Value) -> Result<u64> {
    status["collator"]["restarts"]["health"]
        .as_u64()
        .context("no count of restarts")
}

/// Waits until the collator is watched again and the counts stand; compares them with what the faults can cause.
fn settled(agent: &Agent<'_>, before: Counts, expected: Starts) -> Result<Counts> {
    until("the collator to be watched and all restarts to be over", LATER, || {
        let status = agent.wait_watched()?;
        let counts = Counts::of(agent)?;
        if counts.starts < before.starts + expected.least {
            bail!("{counts:?} after {before:?}: {status}");
        }
        Ok(())
    })?;
    // A restart that nothing explains may be under way; one more look, after the window that would cause it.
    thread::sleep(Duration::from_secs(1));
    let counts = Counts::of(agent)?;
    let starts = counts.starts - before.starts;
    ensure!(
        starts <= expected.most,
        "{starts} starts, at most {} are explained: {}",
        expected.most,
        agent.status()?
    );
    let health = counts.health.saturating_sub(before.health);
    ensure!(
        health <= expected.health,
        "{health} health restarts, {} faults that call for one: {}",
        expected.health,
        agent.status()?
    );
    ensure!(
        counts.height + LOSS >= before.height,
        "the data was lost: {} after {}",
        counts.height,
        before.height
    );
    let containers = agent.containers_on_data()?;
    ensure!(
        containers == [agent.container()],
        "containers on the data: {containers:?}"
    );
    Ok(counts)
}
