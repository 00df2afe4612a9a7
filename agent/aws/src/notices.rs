//! Parses the metadata service's notice documents and selects the most severe one. No I/O.

use jiff::Timestamp;
use serde::Deserialize;

use agent_core::event::{Notice, NoticeKind};

/// One of the documents with notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoticeSource {
    Spot,
    Lifecycle,
    Rebalance,
    Scheduled,
}

/// One announced event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announcement {
    pub(super) kind: NoticeKind,
    /// When the event takes place, if stated.
    pub(super) at: Option<Timestamp>,
    /// When the announcement expires.
    pub(super) until: Option<Timestamp>,
}

impl Announcement {
    /// Whether the host was booted after the time of what stops or reboots it. EC2 keeps announcing that for a while. What
    /// it only recommends, or does to the host below, is not over with a boot.
    fn has_happened(&self, booted: Timestamp) -> bool {
        let ends_the_boot = matches!(self.kind, NoticeKind::ScheduledStop | NoticeKind::SpotInterruption);
        ends_the_boot && self.at.is_some_and(|at| at < booted)
    }
}

/// Current announcements of each document.
#[derive(Debug, Default)]
pub(super) struct PendingNotices {
    sources: [SourceState; 4],
}

#[derive(Debug, Default)]
struct SourceState {
    known: bool,
    announcements: Vec<Announcement>,
    /// The last poll found nothing after an announcement.
    gone: bool,
}

impl NoticeSource {
    pub(super) const ALL: [Self; 4] = [Self::Spot, Self::Lifecycle, Self::Rebalance, Self::Scheduled];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Spot => "meta-data/spot/instance-action",
            Self::Lifecycle => "meta-data/autoscaling/target-lifecycle-state",
            Self::Rebalance => "meta-data/events/recommendations/rebalance",
            Self::Scheduled => "meta-data/events/maintenance/scheduled",
        }
    }

    /// The announcements in the document; `None` when it is malformed.
    pub(super) fn parse(self, text: &str) -> Option<Vec<Announcement>> {
        match self {
            Self::Spot => spot(text),
            Self::Lifecycle => lifecycle(text),
            Self::Rebalance => rebalance(text),
            Self::Scheduled => scheduled(text),
        }
    }
}

impl PendingNotices {
    /// Records a document's announcements on a host that was booted at `booted`. One that is in force stays so while it is
    /// there, since the wall clock may be set; it is dropped only when two polls in a row no longer have it.
    pub(super) fn record(&mut self, source: NoticeSource, mut announcements: Vec<Announcement>, booted: Timestamp) {
        let state = &mut self.sources[source as usize];
        state.known = true;
        announcements.retain(|found| state.announcements.contains(found) || !found.has_happened(booted));
        let doubtful = announcements.is_empty() && !state.announcements.is_empty() && !state.gone;
        state.gone = doubtful;
        if !doubtful {
            state.announcements = announcements;
        }
    }

    /// Whether the document has announcements.
    pub(super) fn has_any(&self, source: NoticeSource) -> bool {
        !self.sources[source as usize].announcements.is_empty()
    }

    /// Whether every document has been read.
    pub(super) fn is_complete(&self) -> bool {
        self.sources.iter().all(|state| state.known)
    }

    /// The most severe announcement. An earlier one that also ends the instance sets the time.
    pub(super) fn most_severe(&self, now: Timestamp) -> Option<(NoticeKind, Option<Timestamp>)> {
        let in_force = |f: &&Announcement| f.until.is_none_or(|until| until > now);
        let all = || {
            self.sources
                .iter()
                .flat_map(|state| &state.announcements)
                .filter(in_force)
        };
        let kind = all().map(|f| f.kind).max()?;
        let counts = |f: &&Announcement| f.kind == kind || f.kind >= NoticeKind::SpotInterruption;
        let at = all().filter(counts).filter_map(|f| f.at).min();
        Some((kind, at))
    }
}

/// The core's notice for an announcement, at `now`.
pub(super) fn notice((kind, at): (NoticeKind, Option<Timestamp>), now: Timestamp) -> Notice {
    // A time that has passed, while this host lives, is none: this host's clock may be off. A scheduled stop is due then.
    let counts = |at: &Timestamp| *at >= now || kind == NoticeKind::ScheduledStop;
    let left = |at: Timestamp| u64::try_from(at.duration_since(now).as_secs()).unwrap_or_default();
    Notice {
        kind,
        seconds: at.filter(counts).map(left),
    }
}

fn spot(text: &str) -> Option<Vec<Announcement>> {
    #[derive(Deserialize)]
    struct SpotInstanceAction {
        action: String,
        time: Timestamp,
    }
    let document: SpotInstanceAction = serde_json::from_str(text).ok()?;
    let known = matches!(document.action.as_str(), "terminate" | "stop" | "hibernate");
    known.then_some(vec![Announcement {
        kind: NoticeKind::SpotInterruption,
        at: Some(document.time),
        until: None,
    }])
}

fn lifecycle(text: &str) -> Option<Vec<Announcement>> {
    let state = text.trim();
    let is_word = |c: char| c.is_ascii_alphabetic() || c == ':';
    if !state.starts_with(|c: char| c.is_ascii_uppercase()) || state.len() > 40 || !state.chars().all(is_word) {
        return None;
    }
    let ends = matches!(
        state,
        "Terminated" | "Warmed:Terminated" | "Warmed:Stopped" | "Warmed:Hibernated"
    );
    let end = Announcement {
        kind: NoticeKind::Termination,
        at: None,
        until: None,
    };
    Some(if ends { vec![end] } else { Vec::new() })
}

fn rebalance(text: &str) -> Option<Vec<Announcement>> {
    #[derive(Deserialize)]
    struct RebalanceRecommendation {
        #[serde(rename = "noticeTime")]
        _notice_time: Timestamp,
    }
    let _: RebalanceRecommendation = serde_json::from_str(text).ok()?;
    Some(vec![Announcement {
        kind: NoticeKind::Rebalance,
        at: None,
        until: None,
    }])
}

fn scheduled(text: &str) -> Option<Vec<Announcement>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Item {
        code: String,
        state: String,
        not_before: Option<String>,
        not_after: Option<String>,
        description: Option<String>,
    }
    impl Item {
        fn is_active(&self) -> bool {
            // EC2 says so here before the state does.
            let description = self.description.as_deref().unwrap_or_default();
            let is_over = ["[Completed]", "[Canceled]"]
                .iter()
                .any(|word| description.starts_with(word));
            self.state == "active" && !is_over
        }
    }
    let date = |text: Option<String>| {
        let text = text.filter(|text| !text.is_empty())?;
        let zoned = jiff::fmt::rfc2822::parse(&text).ok().map(|zoned| zoned.timestamp());
        zoned.or_else(|| text.parse().ok())
    };
    let items: Vec<Item> = serde_json::from_str(text).ok()?;
    let active = items.into_iter().filter(Item::is_active);
    let announcements = active.map(|item| Announcement {
        kind: match item.code.as_str() {
            "instance-reboot" | "system-reboot" | "instance-stop" | "instance-retirement" => NoticeKind::ScheduledStop,
            _ => NoticeKind::Maintenance,
        },
        at: date(item.not_before),
        until: date(item.not_after),
    });
    Some(announcements.collect())
}
