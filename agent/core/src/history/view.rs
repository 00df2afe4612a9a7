//! The history as a document.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Mark, Span};
use crate::event::Chain;
use crate::informant::SyncPhase;

/// One line of JSON, whose size has a bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryView {
    pub schema: u32,
    /// Beginning of the first slot, Unix seconds.
    pub from: i64,
    pub slot_seconds: i64,
    pub slots: u16,
    /// Those chains of which anything was seen.
    pub chains: BTreeMap<Chain, HeightSeries>,
    /// Oldest first.
    pub marks: Vec<Mark>,
    /// Oldest first.
    pub spans: Vec<Span>,
}

/// Heights of one chain by slot, oldest first: each as the difference to the newest known one before it, the first to zero.
/// `None` where nothing was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeightSeries {
    pub best: Vec<Option<i64>>,
    pub target: Vec<Option<i64>>,
    /// Absent where no reference answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Vec<Option<i64>>>,
    /// Runs of slots: first slot, number of slots, phase.
    pub phases: Vec<(u16, u16, SyncPhase)>,
}

/// Differences take a third of the space of heights.
pub(super) fn deltas(heights: impl Iterator<Item = Option<u32>>) -> Vec<Option<i64>> {
    let mut before = 0;
    let delta = |height: Option<u32>| {
        let height = i64::from(height?);
        Some(height - std::mem::replace(&mut before, height))
    };
    heights.map(delta).collect()
}
