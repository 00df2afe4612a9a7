//! What can befall one host, and when.

use agent_core::event::Command;

use super::dice::Dice;
use super::images::UPDATES;
use super::node::Ailment;
use super::outside::{Hook, Opinion, has_outside};
use super::world::{MINUTE, SECOND};

/// How long a life is. Nothing befalls it in its last part.
pub(crate) const LIFE: u64 = 120 * MINUTE;
const QUIET: u64 = 20 * MINUTE;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Trouble {
    /// Until a restart, when that cures it, or for so long.
    Ails(Ailment, u64, bool),
    NodeEnds,
    /// The engine is replaced; containers live on.
    EngineRestart(u64),
    /// The engine dies with its containers.
    EngineDies(u64),
    EngineHangs(u64),
    AgentKilled,
    /// SIGSTOP.
    AgentPaused(u64),
    Suspended(u64),
    PowerCut(u64),
    ClockSet(i64),
    StateStalls(u64),
    StateFull(u64),
    StateFails(u64),
    DataStalls(u64),
    NoMetadata(u64),
    /// A spot notice; taken back before its time, or the power goes then.
    Notice {
        called_off: bool,
    },
    Types(Command),
    /// `docker stop`, `start`, `pause`, `kill`, `rm -f`.
    HandStop,
    HandStart,
    HandPause(u64),
    HandKill,
    HandRemove,
    /// The whole parachain makes no blocks.
    ChainHalts(u64),
    Reference(Opinion, u64),
    Webhook(Hook, u64),
}

fn trouble(dice: &mut Dice) -> Trouble {
    let while_ = |dice: &mut Dice, low: u64, high: u64| dice.between(low, high) * SECOND;
    match dice.between(0, 27) {
        0..=5 => {
            let ailment = dice.pick(&[Ailment::Frozen, Ailment::Stalled, Ailment::Isolated]);
            Trouble::Ails(ailment, while_(dice, 30, 1200), dice.percent(80))
        }
        6 | 7 => Trouble::NodeEnds,
        8 => Trouble::EngineRestart(while_(dice, 1, 30)),
        9 => Trouble::EngineDies(while_(dice, 1, 60)),
        10 => Trouble::EngineHangs(while_(dice, 5, 120)),
        11 | 12 => Trouble::AgentKilled,
        13 => Trouble::AgentPaused(while_(dice, 1, 100)),
        14 => Trouble::Suspended(while_(dice, 10, 1200)),
        15 => Trouble::PowerCut(while_(dice, 20, 120)),
        16 => Trouble::ClockSet(i64::try_from(dice.between(0, 14_400)).unwrap() * 1000 - 7_200_000),
        17 => Trouble::StateStalls(while_(dice, 10, 300)),
        18 => dice.pick(&[Trouble::StateFull, Trouble::StateFails])(while_(dice, 10, 300)),
        19 => Trouble::DataStalls(while_(dice, 10, 200)),
        20 => Trouble::NoMetadata(while_(dice, 10, 300)),
        21 => Trouble::Notice {
            called_off: dice.percent(50),
        },
        22 | 23 => Trouble::Types(match dice.between(0, 3) {
            0 => Command::STOP,
            1 => Command::Restart {
                reason: "a person".to_owned(),
            },
            2 => Command::Pause {
                seconds: dice.between(30, 900),
                reason: "a person".to_owned(),
            },
            _ => Command::Resume,
        }),
        24 => Trouble::HandStop,
        25 => Trouble::HandPause(while_(dice, 5, 100)),
        26 => Trouble::HandKill,
        _ => Trouble::HandRemove,
    }
}

/// What befalls the chain, its reference and the webhook, of dice of its own.
fn outside(seed: u64, all: &mut Vec<(u64, Trouble)>) {
    let mut dice = Dice(seed.rotate_left(32));
    let mut at = dice.between(300, 1200) * SECOND;
    while at < LIFE - QUIET {
        let time = dice.between(30, 2700) * SECOND;
        all.push((
            at,
            match dice.between(0, 9) {
                0..=3 => Trouble::Ails(Ailment::Deaf, time.min(LIFE - QUIET - at), dice.percent(80)),
                4 | 5 => Trouble::ChainHalts(time.min(LIFE - QUIET - at)),
                6 | 7 => Trouble::Reference(
                    dice.pick(&[
                        Opinion::Silent,
                        Opinion::Refuses,
                        Opinion::Limits,
                        Opinion::Garbage,
                        Opinion::Ahead,
                        Opinion::Behind,
                        Opinion::Stands,
                    ]),
                    time,
                ),
                _ => Trouble::Webhook(
                    dice.pick(&[Hook::Silent, Hook::Refuses, Hook::Fails, Hook::Denies]),
                    time,
                ),
            },
        ));
        at += dice.between(60, 2400) * SECOND;
    }
}

/// Whether in this life a person stops and starts it while no agent has heard from Docker.
fn has_absences(seed: u64) -> bool {
    seed % 8 == 6
}

/// The agent is killed, a person stops the collator, and an engine that hangs keeps the next agent from hearing of it before a person
/// asks that agent for a start; of dice of its own.
fn absences(seed: u64, all: &mut Vec<(u64, Trouble)>) {
    let mut dice = Dice(seed.rotate_left(16));
    let mut at = dice.between(300, 2400) * SECOND;
    while at < LIFE - QUIET {
        let stopped = at + dice.between(0, 3) * SECOND;
        let hangs = stopped + dice.between(1, 12) * SECOND;
        all.push((at, Trouble::AgentKilled));
        all.push((stopped, Trouble::HandStop));
        all.push((hangs, Trouble::EngineHangs(dice.between(5, 40) * SECOND)));
        let typed = hangs + dice.between(1, 30) * SECOND;
        all.push((typed, Trouble::Types(Command::START)));
        at = typed + dice.between(600, 2400) * SECOND;
    }
}

/// Troubles with their times, the last first. What a person stops is started again later. Every other life has an update,
/// every fourth an outside, and every eighth absences.
pub(crate) fn course(seed: u64, dice: &mut Dice) -> Vec<(u64, Trouble)> {
    let mut all = Vec::new();
    // Of dice of its own: the other lives stay as they were.
    let mut own = Dice(!seed);
    if own.percent(50) {
        let (at, image) = (own.between(300, 5400) * SECOND, own.pick(&UPDATES).to_owned());
        let automatic = false;
        all.push((at, Trouble::Types(Command::Update { image, automatic })));
    }
    let mut at = dice.between(60, 600) * SECOND;
    while at < LIFE - QUIET {
        let next = trouble(dice);
        let end = (at + dice.between(30, 900) * SECOND).min(LIFE - QUIET);
        match &next {
            Trouble::Types(Command::STOP) => all.push((end, Trouble::Types(Command::START))),
            Trouble::HandStop => {
                let back = if dice.percent(50) {
                    Trouble::HandStart
                } else {
                    Trouble::Types(Command::START)
                };
                all.push((end, back));
            }
            _ => {}
        }
        all.push((at, next));
        let soon = dice.percent(25);
        at += if soon {
            dice.between(1, 60)
        } else {
            dice.between(120, 1200)
        } * SECOND;
    }
    all.push((LIFE - QUIET, Trouble::Types(Command::START)));
    if has_outside(seed) {
        outside(seed, &mut all);
    }
    if has_absences(seed) {
        absences(seed, &mut all);
    }
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    all
}
