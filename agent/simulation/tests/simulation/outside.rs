//! What lies outside the host, besides AWS: the chains themselves, a reference of the parachain, and a webhook.

use std::io;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

use super::network::{response, silence};
use super::world::{MINUTE, SECOND, State, World};

/// Blocks of both chains when the world begins.
const PARACHAIN: u64 = 1_000_000;
const RELAYCHAIN: u64 = 20_000_000;
/// Time between two blocks, ms.
const PARA_TIME: u64 = 12 * SECOND;
const RELAY_TIME: u64 = 6 * SECOND;

pub(crate) const REFERENCE: &str = "reference.sim";
pub(crate) const WEBHOOK: &str = "webhook.sim";

/// docs/notifications.md: after a few messages about one cause, one in this time.
const ONE_EVERY: u64 = 5 * MINUTE;
/// What a reference says holds for two minutes, and is read within another.
const SHOWN: u64 = 3 * MINUTE;
/// A message is tried again for half an hour; one that waits behind it has less.
const TRIED: u64 = 25 * MINUTE;

/// Which of a world's lives have a reference and a webhook.
pub(crate) fn has_outside(seed: u64) -> bool {
    seed % 4 == 1
}

/// How high the chains are at a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chains {
    /// From when to when the parachain makes no block.
    halts: Vec<(u64, u64)>,
}

impl Chains {
    pub(crate) fn height(&self, is_relay: bool, at: u64) -> u64 {
        if is_relay {
            return RELAYCHAIN + at / RELAY_TIME;
        }
        let halted: u64 = self
            .halts
            .iter()
            .map(|(from, to)| at.min(*to).saturating_sub(*from))
            .sum();
        PARACHAIN + (at - halted) / PARA_TIME
    }

    /// Whether it makes no block, or made none a short while ago.
    fn is_halted(&self, now: u64) -> bool {
        self.halts.last().is_some_and(|(_, to)| now < to + SHOWN)
    }
}

/// What is wrong with the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opinion {
    Silent,
    Refuses,
    Limits,
    Garbage,
    /// It has a thousand blocks more, or fewer.
    Ahead,
    Behind,
    /// It stands while the chain goes on.
    Stands,
}

/// Until when something is wrong with the reference, and where it was when that began.
#[derive(Clone, Copy)]
struct Disturbance {
    opinion: Opinion,
    until: u64,
    stood: u64,
}

/// What is wrong with the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    Silent,
    Refuses,
    Fails,
    Denies,
}

/// From when to when the webhook takes nothing.
struct Refusal {
    hook: Hook,
    since: u64,
    until: u64,
}

impl Refusal {
    /// Whether a message may be given up before it ends.
    fn loses(&self) -> bool {
        self.hook == Hook::Denies || self.until - self.since > TRIED
    }
}

#[derive(Default)]
pub(crate) struct Outside {
    pub(crate) chains: Chains,
    reference: Option<Disturbance>,
    webhook: Option<Refusal>,
    /// When it last heard of a restart, and the oldest one that it has not heard of.
    told: Option<u64>,
    untold: Option<u64>,
}

impl Outside {
    pub(crate) fn halt(&mut self, now: u64, time: u64) {
        if !self.chains.is_halted(now) {
            self.chains.halts.push((now, now + time));
        }
    }

    pub(crate) fn disturb_reference(&mut self, opinion: Opinion, now: u64, time: u64) {
        self.reference = Some(Disturbance {
            opinion,
            until: now + time,
            stood: self.chains.height(false, now),
        });
    }

    pub(crate) fn disturb_webhook(&mut self, hook: Hook, now: u64, time: u64) {
        let before = self.webhook.take().filter(|refusal| refusal.until > now);
        let (since, until) = (before.map_or(now, |refusal| refusal.since), now + time);
        let refusal = self.webhook.insert(Refusal { hook, since, until });
        if refusal.loses() {
            self.untold = None;
        }
    }

    /// Whether the chain makes no block, or its reference says so: docs/verdicts.md takes both for a halt.
    pub(crate) fn looks_halted(&self, now: u64) -> bool {
        let says_so = |last: Disturbance| last.opinion == Opinion::Stands && now < last.until + SHOWN;
        self.chains.is_halted(now) || self.reference.is_some_and(says_so)
    }

    fn disturbance(&self, now: u64) -> Option<Disturbance> {
        self.reference.filter(|last| last.until > now)
    }

    pub(crate) fn is_reference_well(&self, now: u64) -> bool {
        self.disturbance(now).is_none()
    }

    fn refusal(&self, now: u64) -> Option<&Refusal> {
        self.webhook.as_ref().filter(|refusal| refusal.until > now)
    }

    /// The webhook has to hear of this restart, soon or as soon as it takes messages again.
    pub(crate) fn restarted(&mut self, now: u64) {
        let takes = !self.refusal(now).is_some_and(Refusal::loses);
        // The message leaves before the stop.
        let is_told = self.told.is_some_and(|at| now <= at + MINUTE);
        self.untold = self.untold.or_else(|| (takes && !is_told).then_some(now));
    }

    /// The agent is gone or was not awake: what waited is lost, or late.
    pub(crate) fn agent_rests(&mut self) {
        self.untold = None;
    }

    pub(crate) fn is_untold(&self, now: u64) -> bool {
        let refused = self.webhook.as_ref().map_or(0, |refusal| refusal.until);
        self.untold.is_some_and(|at| now > at.max(refused) + ONE_EVERY + MINUTE)
    }

    /// Height of the reference, or what it says in place of one.
    fn opinion(&self, now: u64) -> Result<u64, Opinion> {
        let truth = self.chains.height(false, now);
        let Some(Disturbance { opinion, stood, .. }) = self.disturbance(now) else {
            return Ok(truth);
        };
        match opinion {
            Opinion::Ahead => Ok(truth + 1000),
            Opinion::Behind => Ok(truth - 1000),
            Opinion::Stands => Ok(stood),
            opinion => Err(opinion),
        }
    }
}

/// HTTP JSON-RPC of a node of the parachain.
pub(crate) async fn reference(world: &World, request: &Request<Bytes>) -> io::Result<Response<Bytes>> {
    let opinion = {
        let state = world.lock();
        state.outside.opinion(state.now())
    };
    let best = match opinion {
        Ok(best) => best,
        Err(Opinion::Refuses) => return Err(io::ErrorKind::ConnectionRefused.into()),
        Err(Opinion::Limits) => return Ok(response(429, "too many requests")),
        Err(Opinion::Garbage) => return Ok(response(200, "<html>maintenance</html>")),
        Err(_) => return silence().await,
    };
    let call: Value = serde_json::from_slice(request.body())?;
    // A hash is its height.
    let result = match call["method"].as_str().unwrap_or_default() {
        "chain_getHeader" => {
            let asked = call["params"][0].as_str().and_then(|hash| hash.strip_prefix("0x"));
            let height = asked.map_or(best, |hash| u64::from_str_radix(hash, 16).unwrap());
            json!({ "number": format!("{height:#x}") })
        }
        "chain_getFinalizedHead" => json!(format!("{:#066x}", best - 3)),
        _ => Value::Null,
    };
    Ok(response(
        200,
        json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string(),
    ))
}

/// Takes a message.
pub(crate) async fn webhook(world: &World, request: &Request<Bytes>) -> io::Result<Response<Bytes>> {
    let hook = {
        let state = world.lock();
        state.outside.refusal(state.now()).map(|refusal| refusal.hook)
    };
    match hook {
        None => {}
        Some(Hook::Silent) => return silence().await,
        Some(Hook::Refuses) => return Err(io::ErrorKind::ConnectionRefused.into()),
        Some(Hook::Fails) => return Ok(response(503, "")),
        Some(Hook::Denies) => return Ok(response(403, "")),
    }
    let message: Value = serde_json::from_slice(request.body())?;
    world.lock().take(&message);
    Ok(response(200, ""))
}

impl State {
    fn take(&mut self, message: &Value) {
        let now = self.now();
        self.note(format!(
            "webhook: {} {} {}",
            message["event"], message["cause"], message["action"]
        ));
        // What is held back becomes one message, with the newest state.
        if message["action"] == "restart" || message["event"] == "judged" || message["more"] != 0 {
            (self.outside.told, self.outside.untold) = (Some(now), None);
        }
    }
}
