#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use serde::Serialize;
use strum::VariantArray;

use crate::chain_health::Verdict;
use crate::event::{Chain, Conflict, Holding, NoticeKind, ScrapeError};
use crate::informant::SyncPhase;
use crate::machine::{Cause, Health, Phase, UpdateResult, UpdateStep};
use crate::status::ScrapeStatus;

fn check<T: VariantArray + Serialize + Copy + Into<&'static str>>() {
    for value in T::VARIANTS {
        let text: &str = (*value).into();
        assert_eq!(serde_json::to_value(value).unwrap(), text);
    }
}

#[test]
fn names_of_enums_are_the_same_in_json_and_in_text() {
    check::<Cause>();
    check::<Chain>();
    check::<Conflict>();
    check::<Health>();
    check::<Holding>();
    check::<NoticeKind>();
    check::<Phase>();
    check::<ScrapeStatus>();
    check::<ScrapeError>();
    check::<SyncPhase>();
    check::<UpdateStep>();
    check::<UpdateResult>();
    check::<Verdict>();
}
