//! The judge: watches the outside only, and holds it against what README and docs promise.

use super::engine::Run;
use super::node::Ailment;
use super::watch::Watch;
use super::world::{MINUTE, SECOND, State};

/// docs/identity.md: what no lease can prevent is a host that signs after it was suspended, until its agent has looked
/// (every 2 s) and its collator has stopped (within 20 s).
const AFTER_WAKE: u64 = 25 * SECOND;

/// What befell a host this long ago may still cost it the key.
const STRUCK: u64 = 10 * MINUTE;

#[derive(Default)]
pub(crate) struct Judge {
    /// What is against a promise, with the story until then.
    pub(crate) violations: Vec<String>,
    /// Time for which exactly one host signed, ms.
    pub(crate) signed: u64,
    /// Starts of containers with a key.
    pub(crate) starts: u64,
    /// Since when two hosts sign.
    double_since: Option<u64>,
    /// Who signed last.
    holder: Option<usize>,
    /// What one life is held against.
    pub(crate) watch: Watch,
    /// What is wrong with the node, and whether a restart cures it.
    pub(crate) ailment: Option<(Ailment, bool)>,
    /// Since when EC2 says that it ends the instance, and at which wall-clock time.
    pub(crate) notice: Option<(u64, i64)>,
    /// When the last fault or notice ended.
    pub(crate) calm: u64,
}

impl State {
    pub(crate) fn blame(&mut self, what: &str) {
        self.note(format!("VIOLATION: {what}"));
        let story = self.story.join("\n");
        self.judge.violations.push(format!("{what}\n{story}"));
    }

    /// The key that a host's collator signs with at this moment.
    pub(crate) fn signer(&self, host: usize) -> Option<&str> {
        let machine = &self.machines[host];
        if !machine.powered || machine.suspended {
            return None;
        }
        let mut running = machine.engine.containers.iter().filter(|c| c.run == Run::Running);
        running.find_map(|c| c.node.key.as_deref())
    }

    /// A container was started.
    pub(crate) fn judge_start(&mut self, host: usize, index: usize) {
        let containers = &self.machines[host].engine.containers;
        let started = &containers[index];
        self.judge.starts += u64::from(started.node.key.is_some());
        let second = containers.iter().enumerate().any(|(other, container)| {
            let shares = container
                .mounts
                .iter()
                .any(|(source, _)| started.mounts.iter().any(|(own, _)| own == source));
            other != index && matches!(container.run, Run::Running | Run::Paused) && shares
        });
        if second {
            self.blame("two containers on one data directory");
        }
    }

    /// The key stays where it is while its holder is well.
    fn judge_holder(&mut self, host: usize) {
        let now = self.now();
        let before = self.judge.holder.replace(host).filter(|before| *before != host);
        let was_struck = |before: usize| self.machines[before].struck.is_some_and(|at| now - at <= STRUCK);
        if before.is_some_and(|before| !was_struck(before)) {
            self.blame("the key has another host although nothing befell its holder");
        }
    }

    /// Called after every step of all hosts.
    pub(crate) fn judge_signatures(&mut self, quantum: u64) {
        let now = self.now();
        let signers: Vec<(usize, String)> = (0..self.machines.len())
            .filter_map(|host| Some((host, self.signer(host)?.to_owned())))
            .collect();
        let is_double = signers
            .iter()
            .enumerate()
            .any(|(at, (_, key))| signers[..at].iter().any(|(_, k)| k == key));
        if !is_double {
            self.judge.double_since = None;
            if let [(host, _)] = signers[..] {
                self.judge.signed += quantum;
                self.judge_holder(host);
            }
            return;
        }
        let excused = signers
            .iter()
            .any(|(host, _)| self.machines[*host].woke.is_some_and(|woke| now - woke <= AFTER_WAKE));
        if !excused && self.judge.double_since.is_none() {
            self.judge.double_since = Some(now);
            let names: Vec<_> = signers
                .iter()
                .map(|(host, _)| self.machines[*host].name.clone())
                .collect();
            self.blame(&format!("{} sign with one key", names.join(" and ")));
        }
    }
}
