//! Messages: at most one when a condition begins, for each time that it is so.

use std::collections::{BTreeMap, BTreeSet};

use strum::VariantArray as _;

use super::reports::LINGERS;
use super::world::World;
use crate::machine::Cause;

#[derive(Default)]
pub(super) struct Messages {
    /// What is so, when it last was, and how often it was told since it began to be so.
    so: BTreeSet<Cause>,
    last_so: BTreeMap<Cause, u64>,
    begins: BTreeMap<Cause, u32>,
}

impl Messages {
    /// What is so now counts as begun.
    pub(super) fn begin_anew(&mut self, cause: Cause) {
        self.so.remove(&cause);
    }

    fn note(&mut self, now: u64, cause: Cause, so: bool) {
        if !so {
            self.so.remove(&cause);
            return;
        }
        self.last_so.insert(cause, now);
        if self.so.insert(cause) {
            self.begins.remove(&cause);
        }
    }
}

impl World {
    pub(super) fn judge_message(&mut self, cause: Cause, over: bool) {
        self.note(format!("message: {cause:?}{}", if over { " is over" } else { "" }));
        let so = self.is_so(cause);
        let messages = &mut self.judge.messages;
        messages.note(self.now, cause, so);
        let lately = messages.last_so.get(&cause).is_some_and(|at| self.now - at <= LINGERS);
        if over {
            return;
        }
        let begins = messages.begins.entry(cause).or_default();
        *begins += 1;
        if *begins > 1 {
            self.blame(|s| &mut s.repeated, format!("{cause:?} is told again"));
        }
        if !lately {
            self.blame(|s| &mut s.wrong, format!("{cause:?} is told but not so"));
        }
    }

    /// What is so at a look.
    pub(super) fn note_conditions(&mut self) {
        for cause in Cause::VARIANTS {
            let so = self.is_so(*cause);
            self.judge.messages.note(self.now, *cause, so);
        }
    }
}
