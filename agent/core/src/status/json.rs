//! The status as one line of JSON that always fits.

use jiff::Timestamp;

use super::format::{clean, shorten};
use super::{AgentProcessStatus, CollatorStatus, MAX_CHARS, Status};

/// What is given up for length, in this order, until the document fits: prose first, then names, then the
/// details that matter least for a decision.
const STEPS: &[fn(&mut Status)] = &[
    |s| s.prose(300),
    |s| s.prose(160),
    |s| s.reasons.truncate(5),
    |s| s.prose(100),
    |s| s.configuration.iter_mut().for_each(|c| c.pending.truncate(3)),
    |s| s.names(120),
    |s| s.reasons.truncate(3),
    |s| s.names(72),
    |s| s.bake = None,
    |s| s.collation = None,
    |s| {
        s.agent = AgentProcessStatus {
            version: s.agent.version.take(),
            ..AgentProcessStatus::default()
        }
    },
    |s| s.names(40),
    |s| s.prose(60),
    |s| (s.host.load1, s.host.memory_full_percent) = (None, None),
    |s| s.ec2 = None,
    |s| s.last_incident = None,
    |s| {
        s.update
            .iter_mut()
            .for_each(|u| (u.from, u.reason, u.configured) = (None, None, None));
    },
    |s| s.maintenance.iter_mut().for_each(|m| m.reason = None),
    |s| s.names(20),
    |s| s.next = None,
    |s| s.configuration = None,
    |s| s.update = None,
    |s| {
        s.collator = CollatorStatus {
            state: s.collator.state.take(),
            ..CollatorStatus::default()
        }
    },
    |s| s.prose(30),
    |s| s.chains.clear(),
];

impl Status {
    /// The status for programs: one line, `schema` 1, at most [`MAX_CHARS`] characters.
    ///
    /// Strings carry no control characters. When the document would be longer, strings end in `…`, then
    /// detail is left out in a fixed order; `shortened` says so.
    pub fn to_json(&self) -> String {
        let mut short = self.clone();
        short.edit_strings(&mut |text, _| *text = clean(text));
        short.round();
        let mut json = serialize(&short);
        for step in STEPS {
            if json.chars().count() <= MAX_CHARS {
                break;
            }
            step(&mut short);
            short.shortened = true;
            json = serialize(&short);
        }
        json
    }

    fn prose(&mut self, max: usize) {
        self.edit_strings(&mut |text, prose| {
            if prose {
                *text = shorten(text, max);
            }
        });
    }

    fn names(&mut self, max: usize) {
        self.edit_strings(&mut |text, prose| {
            if !prose {
                *text = shorten(text, max);
            }
        });
    }

    /// Shows every string to `edit`, and whether it is prose rather than a name.
    fn edit_strings(&mut self, edit: &mut dyn FnMut(&mut String, bool)) {
        let (instance, [notice, unseen, unanswered]) = match &mut self.ec2 {
            Some(ec2) => (
                ec2.instance_id.as_mut(),
                [ec2.notice.as_mut(), ec2.unseen.as_mut(), ec2.unanswered.as_mut()],
            ),
            None => (None, [None, None, None]),
        };
        let prose = [
            self.host.clock_unknown.as_mut(),
            self.host.network_unknown.as_mut(),
            notice,
            unseen,
            unanswered,
            Some(&mut self.summary),
            self.next.as_mut().and_then(|n| n.why.as_mut()),
            self.maintenance.as_mut().and_then(|m| m.reason.as_mut()),
            self.update.as_mut().and_then(|u| u.reason.as_mut()),
            self.configuration.as_mut().and_then(|c| c.error.as_mut()),
        ];
        prose
            .into_iter()
            .flatten()
            .chain(&mut self.reasons)
            .for_each(|text| edit(text, true));
        let incident = self.last_incident.as_mut();
        let (id, cause) = incident.map_or((None, None), |i| (i.id.as_mut(), i.cause.as_mut()));
        let update = self.update.iter_mut();
        let update = update.flat_map(|u| [&mut u.image, &mut u.from, &mut u.step, &mut u.result, &mut u.configured]);
        let names = [
            self.collator.container.as_mut(),
            self.collator.image.as_mut(),
            self.collator.digest.as_mut(),
            self.collator.id.as_mut(),
            self.collator.state.as_mut(),
            self.next.as_mut().map(|n| &mut n.action),
            instance,
            self.agent.version.as_mut(),
            id,
            cause,
        ];
        let pending = self.configuration.iter_mut().flat_map(|c| &mut c.pending);
        let chains = self.chains.values_mut().filter_map(|c| c.id.as_mut());
        names
            .into_iter()
            .flatten()
            .chain(chains)
            .chain(update.flatten())
            .chain(pending)
            .for_each(|text| edit(text, false));
    }

    /// Whole seconds and three decimals: what is beyond was never measured.
    fn round(&mut self) {
        let second = |t: &mut Timestamp| *t = Timestamp::from_second(t.as_second()).unwrap_or(*t);
        let times = [
            Some(&mut self.time),
            self.collator.started_at.as_mut(),
            self.collator.last_exit.as_mut().and_then(|e| e.at.as_mut()),
            self.bake.as_mut().and_then(|b| b.at.as_mut()),
            self.maintenance.as_mut().and_then(|m| m.until.as_mut()),
            self.last_incident.as_mut().and_then(|i| i.at.as_mut()),
            self.update.as_mut().and_then(|u| u.at.as_mut()),
        ];
        times.into_iter().flatten().for_each(second);
        let super::HostStatus {
            clock_offset_ms,
            load1,
            memory_full_percent,
            ..
        } = &mut self.host;
        let host = [clock_offset_ms, load1, memory_full_percent].map(Option::as_mut);
        let chains = self.chains.values_mut();
        let rates = chains.flat_map(|c| {
            let bytes = c.sync.as_mut().and_then(|sync| sync.bytes_in_per_second.as_mut());
            [c.blocks_per_second.as_mut(), bytes].into_iter().flatten()
        });
        for number in host.into_iter().flatten().chain(rates).filter(|n| n.abs() < 1e12) {
            *number = (*number * 1e3).round() / 1e3;
        }
    }
}

/// The types hold nothing that JSON cannot express; should that change, the answer is still JSON.
fn serialize(status: &Status) -> String {
    serde_json::to_string(status).unwrap_or_else(|error| {
        serde_json::json!({"schema": status.schema, "health": "unknown", "summary": error.to_string()}).to_string()
    })
}
