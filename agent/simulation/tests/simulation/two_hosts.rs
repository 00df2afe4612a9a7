//! Two hosts and one set of keys: random schedules of what can befall them.

use std::fs;

use super::dice::Dice;
use super::host::Host;
use super::machine::VOLUME;
use super::world::{MINUTE, SECOND, Storage, World};

/// The hosts take turns for this long, ms.
const QUANTUM: u64 = 500;
/// Things befall the hosts from here on, and until then.
const FROM: u64 = 90 * SECOND;
const UNTIL: u64 = 7 * MINUTE;
/// After the last of them, one host collates again within this time.
const SETTLED: u64 = 6 * MINUTE;
/// Name of the session key's file: `aura`, and a public key.
pub(crate) const KEY: &str = "61757261d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

#[derive(Debug, Clone, Copy)]
enum Blow {
    /// The agent gets SIGSTOP, for so long.
    Pause(u64),
    /// The whole machine.
    Suspend(u64),
    /// The wall clock is set, by so much.
    Skew(i64),
    /// The API, or the disk of the identity, cannot be reached.
    Partition(u64),
    SlowApi(u64),
    FailingApi(u64),
    NoMetadata(u64),
    ForcedDetach,
    /// The agent is killed.
    Crash,
    /// The power is gone for so long.
    PowerCut(u64),
    /// The engine is replaced under its containers.
    EngineRestart(u64),
    /// The node ends by itself.
    NodeEnds,
}

fn blow(dice: &mut Dice, storage: Storage) -> Blow {
    let long = |dice: &mut Dice| match dice.between(0, 3) {
        0 => dice.between(1, 10) * SECOND,
        1 => dice.between(10, 60) * SECOND,
        2 => dice.between(30, 130) * SECOND,
        _ => dice.between(60, 240) * SECOND,
    };
    match dice.between(0, 15) {
        0 | 1 => Blow::Pause(long(dice)),
        2 => Blow::Suspend(long(dice)),
        3 => Blow::Skew(i64::try_from(dice.between(0, 7200)).unwrap() * 1000 - 3_600_000),
        4 | 5 => Blow::Partition(long(dice)),
        6 | 7 if storage == Storage::Volume => Blow::ForcedDetach,
        6 | 9 => Blow::FailingApi(long(dice)),
        7 | 8 => Blow::SlowApi(long(dice)),
        10 => Blow::NoMetadata(long(dice)),
        11 => Blow::PowerCut(dice.between(20, 200) * SECOND),
        12 => Blow::EngineRestart(dice.between(1, 5) * SECOND),
        13 | 14 => Blow::NodeEnds,
        _ => Blow::Crash,
    }
}

/// What a schedule came to.
pub(crate) struct Outcome {
    pub(crate) violations: Vec<String>,
    pub(crate) blows: usize,
    pub(crate) signed: u64,
    pub(crate) starts: u64,
    /// Everything that happened, for a comparison.
    pub(crate) story: String,
}

pub(crate) fn play(seed: u64, storage: Storage) -> Outcome {
    fastrand::seed(seed);
    let dir = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let root = dir.path().canonicalize().unwrap();
    let keys = root.join(if storage == Storage::Volume { "volume" } else { "shared" });
    fs::create_dir_all(keys.join("keystore")).unwrap();
    fs::write(keys.join("keystore").join(KEY), "\"phrase\"").unwrap();
    let world = World::new(seed, storage, &root, 2);
    let mut hosts = [Host::new(&world, 0), Host::new(&world, 1)];
    let mut schedule = schedule(&world);
    let blows = schedule.len();
    let mut wakes: Vec<(u64, usize, Wake)> = Vec::new();
    let mut now = 0;
    while now < UNTIL + SETTLED {
        while schedule.last().is_some_and(|planned| planned.at <= now) {
            let Planned {
                on_signer, host, blow, ..
            } = schedule.pop().unwrap();
            let signer = (0..2).find(|host| on_signer && world.lock().signer(*host).is_some());
            let host = signer.unwrap_or(host);
            strike(&world, &mut hosts, host, blow, now, &mut wakes);
        }
        for (_, host, wake) in wakes.extract_if(.., |(at, ..)| *at <= now) {
            world.lock().wake(host, wake);
        }
        for host in &mut hosts {
            host.step(now, QUANTUM);
        }
        now += QUANTUM;
        world.set_now(now);
        let mut state = world.lock();
        state.cloud.tick(now);
        for host in 0..2 {
            if state.machine(host).powered && !state.machine(host).suspended {
                state.tick_engine(host);
            }
        }
        state.judge_signatures(QUANTUM);
        if !state.judge.violations.is_empty() {
            break;
        }
    }
    let mut state = world.lock();
    if state.judge.violations.is_empty() && state.signer(0).is_none() && state.signer(1).is_none() {
        state.blame("nobody collates, although both hosts have been well for long");
    }
    Outcome {
        violations: std::mem::take(&mut state.judge.violations),
        blows,
        signed: state.judge.signed,
        starts: state.judge.starts,
        story: state.story.join("\n"),
    }
}

/// A blow, when it falls, and on whom: the host that signs then, or else this one.
struct Planned {
    at: u64,
    on_signer: bool,
    host: usize,
    blow: Blow,
}

/// The blows of one schedule, the first one last.
fn schedule(world: &World) -> Vec<Planned> {
    let mut state = world.lock();
    let storage = state.storage;
    let dice = &mut state.dice;
    let mut all: Vec<Planned> = Vec::new();
    for _ in 0..dice.between(1, 6) {
        let at = match all.last() {
            // Some come close together.
            Some(last) if dice.percent(40) => (last.at + dice.between(0, 40) * SECOND).min(UNTIL),
            _ => dice.between(FROM, UNTIL),
        };
        let on_signer = dice.percent(70);
        let host = usize::from(dice.percent(50));
        let blow = blow(dice, storage);
        all.push(Planned {
            at,
            on_signer,
            host,
            blow,
        });
        if storage == Storage::Volume && dice.percent(25) {
            let at = (at + dice.between(0, 20) * SECOND).saturating_sub(5 * SECOND);
            let blow = Blow::ForcedDetach;
            all.push(Planned {
                at,
                on_signer,
                host,
                blow,
            });
        }
    }
    all.sort_by_key(|planned| std::cmp::Reverse(planned.at));
    all
}

/// What ends a blow.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wake {
    Resume,
    Power,
    Engine,
}

impl super::world::State {
    fn wake(&mut self, host: usize, wake: Wake) {
        self.note_of(host, format!("{wake:?}"));
        let now = self.now();
        let machine = self.machine(host);
        match wake {
            Wake::Resume => {
                machine.suspended = false;
                machine.woke = Some(now);
            }
            Wake::Power => {
                machine.powered = true;
                // Docker starts what its policies say before there is an agent.
                self.tick_engine(host);
            }
            Wake::Engine => machine.engine.up = true,
        }
    }
}

fn strike(
    world: &World,
    hosts: &mut [Host; 2],
    host: usize,
    blow: Blow,
    now: u64,
    wakes: &mut Vec<(u64, usize, Wake)>,
) {
    let mut state = world.lock();
    state.note_of(host, format!("{blow:?}"));
    for struck in 0..2 {
        // What befalls the volume befalls both.
        let is_meant = struck == host || matches!(blow, Blow::ForcedDetach);
        if is_meant && !matches!(blow, Blow::Skew(_)) {
            state.machine(struck).struck = Some(now);
        }
    }
    let storage = state.storage;
    if !state.machine(host).powered || state.machine(host).suspended {
        return;
    }
    let machine = state.machine(host);
    match blow {
        Blow::Pause(time) => hosts[host].stopped_until = now + time,
        Blow::Suspend(time) => {
            machine.suspended = true;
            wakes.push((now + time, host, Wake::Resume));
        }
        Blow::Skew(by) => machine.skew = by,
        Blow::Partition(time) if storage == Storage::Lease => machine.stalled_identity = now + time,
        Blow::Partition(time) => machine.partitioned = now + time,
        Blow::SlowApi(time) if storage == Storage::Lease => machine.stalled_identity = now + time.min(20 * SECOND),
        Blow::SlowApi(time) => machine.slow_api = now + time,
        Blow::FailingApi(time) if storage == Storage::Lease => machine.failing_identity = now + time,
        Blow::FailingApi(time) => machine.failing_api = now + time,
        Blow::NoMetadata(time) => machine.no_metadata = now + time,
        Blow::ForcedDetach => {
            let done = state.cloud.force_detach(now);
            state.note(format!("{VOLUME} is detached by force: {done}"));
        }
        Blow::Crash => {
            drop(state);
            hosts[host].kill(now);
        }
        Blow::PowerCut(time) => {
            state.engine_dies(host);
            let machine = state.machine(host);
            machine.lose_power(now);
            if storage == Storage::Volume {
                machine.mounted = false;
                let (instance, at) = (machine.instance.clone(), machine.mount_point(storage));
                state.cloud.power_lost(&instance, &at, now);
            }
            wakes.push((now + time, host, Wake::Power));
            drop(state);
            hosts[host].power_off(now, time);
        }
        Blow::EngineRestart(time) => {
            machine.engine.up = false;
            state.engine_restarts(host);
            wakes.push((now + time, host, Wake::Engine));
        }
        Blow::NodeEnds => {
            if let Some(container) = machine.engine.containers.first_mut() {
                container.ending.get_or_insert((now, 1, false));
            }
        }
    }
}
