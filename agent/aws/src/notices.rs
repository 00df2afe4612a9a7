//! What the metadata service's documents announce, and the gravest of it. Pure.

use jiff::Timestamp;
use serde::Deserialize;

use agent_core::event::{Notice, NoticeKind};

/// Paths of the documents, below `/latest/meta-data/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Spot,
    Lifecycle,
    Rebalance,
    Scheduled,
}

/// An announcement with its wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Foreseen {
    pub(super) kind: NoticeKind,
    /// When it comes true, as far as told.
    pub(super) at: Option<Timestamp>,
    /// From when on it is not believed any more.
    pub(super) until: Option<Timestamp>,
}

/// What each document said last.
#[derive(Debug, Default)]
pub(super) struct Board {
    slots: [Slot; 4],
}

#[derive(Debug, Default)]
struct Slot {
    known: bool,
    foreseen: Vec<Foreseen>,
    /// The last look found nothing, after something had been there.
    gone: bool,
}

impl Source {
    pub(super) const ALL: [Self; 4] = [Self::Spot, Self::Lifecycle, Self::Rebalance, Self::Scheduled];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Spot => "meta-data/spot/instance-action",
            Self::Lifecycle => "meta-data/autoscaling/target-lifecycle-state",
            Self::Rebalance => "meta-data/events/recommendations/rebalance",
            Self::Scheduled => "meta-data/events/maintenance/scheduled",
        }
    }

    /// What the document announces; `None` when it is not what it should be.
    pub(super) fn read(self, text: &str) -> Option<Vec<Foreseen>> {
        match self {
            Self::Spot => spot(text),
            Self::Lifecycle => lifecycle(text),
            Self::Rebalance => rebalance(text),
            Self::Scheduled => scheduled(text),
        }
    }
}

impl Board {
    /// Notes what a document said. Something is gone only when a second look agrees.
    pub(super) fn note(&mut self, source: Source, foreseen: Vec<Foreseen>) {
        let slot = &mut self.slots[source as usize];
        slot.known = true;
        let doubtful = foreseen.is_empty() && !slot.foreseen.is_empty() && !slot.gone;
        slot.gone = doubtful;
        if !doubtful {
            slot.foreseen = foreseen;
        }
    }

    /// Whether the document announced something.
    pub(super) fn announces(&self, source: Source) -> bool {
        !self.slots[source as usize].foreseen.is_empty()
    }

    /// Whether every document has been seen.
    pub(super) fn is_complete(&self) -> bool {
        self.slots.iter().all(|slot| slot.known)
    }

    /// The gravest of what is announced. What ends the instance earlier also sets the time.
    pub(super) fn gravest(&self, now: Timestamp) -> Option<(NoticeKind, Option<Timestamp>)> {
        let in_force = |f: &&Foreseen| f.until.is_none_or(|until| until > now);
        let all = || self.slots.iter().flat_map(|slot| &slot.foreseen).filter(in_force);
        let kind = all().map(|f| f.kind).max()?;
        let counts = |f: &&Foreseen| f.kind == kind || f.kind >= NoticeKind::SpotInterruption;
        let at = all().filter(counts).filter_map(|f| f.at).min();
        Some((kind, at))
    }
}

/// The notice as the core takes it, at `now`.
pub(super) fn notice((kind, at): (NoticeKind, Option<Timestamp>), now: Timestamp) -> Notice {
    let left = |at: Timestamp| u64::try_from(at.duration_since(now).as_secs()).unwrap_or_default();
    Notice {
        kind,
        seconds: at.map(left),
    }
}

fn spot(text: &str) -> Option<Vec<Foreseen>> {
    #[derive(Deserialize)]
    struct Document {
        action: String,
        time: Timestamp,
    }
    let document: Document = serde_json::from_str(text).ok()?;
    let known = matches!(document.action.as_str(), "terminate" | "stop" | "hibernate");
    known.then_some(vec![Foreseen {
        kind: NoticeKind::SpotInterruption,
        at: Some(document.time),
        until: None,
    }])
}

fn lifecycle(text: &str) -> Option<Vec<Foreseen>> {
    let state = text.trim();
    let is_word = |c: char| c.is_ascii_alphabetic() || c == ':';
    if !state.starts_with(|c: char| c.is_ascii_uppercase()) || state.len() > 40 || !state.chars().all(is_word) {
        return None;
    }
    let ends = matches!(
        state,
        "Terminated" | "Warmed:Terminated" | "Warmed:Stopped" | "Warmed:Hibernated"
    );
    let end = Foreseen {
        kind: NoticeKind::Termination,
        at: None,
        until: None,
    };
    Some(if ends { vec![end] } else { Vec::new() })
}

fn rebalance(text: &str) -> Option<Vec<Foreseen>> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "noticeTime")]
        _notice_time: Timestamp,
    }
    let _: Document = serde_json::from_str(text).ok()?;
    Some(vec![Foreseen {
        kind: NoticeKind::Rebalance,
        at: None,
        until: None,
    }])
}

fn scheduled(text: &str) -> Option<Vec<Foreseen>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Item {
        code: String,
        state: String,
        not_before: Option<String>,
        not_after: Option<String>,
    }
    let date = |text: Option<String>| {
        let text = text.filter(|text| !text.is_empty())?;
        let zoned = jiff::fmt::rfc2822::parse(&text).ok().map(|zoned| zoned.timestamp());
        zoned.or_else(|| text.parse().ok())
    };
    let items: Vec<Item> = serde_json::from_str(text).ok()?;
    let active = items.into_iter().filter(|item| item.state == "active");
    let foreseen = active.map(|item| Foreseen {
        kind: match item.code.as_str() {
            "instance-reboot" | "system-reboot" | "instance-stop" | "instance-retirement" => NoticeKind::ScheduledStop,
            _ => NoticeKind::Maintenance,
        },
        at: date(item.not_before),
        until: date(item.not_after),
    });
    Some(foreseen.collect())
}
