//! Whatever the strings and numbers inside, both forms stay within their bounds.

use proptest::prelude::*;
use strum::VariantArray as _;

use super::super::*;
use super::assert_bounds;
use crate::informant::SyncPhase;

fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z ]{0,40}",
        "\\PC{0,200}",
        any::<String>(),
        "[\"\\\\\u{1b}\u{202e}\u{7f}]{0,800}",
        "[💤é ]{0,800}"
    ]
}

fn some<T: std::fmt::Debug>(inner: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.8, inner)
}

fn time() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_second()..=Timestamp::MAX.as_second()).prop_map(|s| Timestamp::from_second(s).unwrap())
}

prop_compose! {
    fn chain()(
        id in some(string()),
        verdict in proptest::sample::select(Verdict::VARIANTS),
        scrape in some(proptest::sample::select(ScrapeStatus::VARIANTS)),
        n in proptest::collection::vec(some(any::<u64>()), 8),
        rate in some(any::<f64>()),
        sync in some((proptest::sample::select(SyncPhase::VARIANTS), some(0f32..=100.0), some(0f64..1e12))),
    ) -> ChainStatus {
        ChainStatus {
            id, verdict, best: n[0], finalized: n[1], target: n[2], behind: n[3], peers: n[4],
            blocks_per_second: rate, eta_seconds: n[5], progress_seconds_ago: n[6], scrape,
            sample_seconds_ago: n[7],
            stale: n[7].is_none(),
            sync: sync.map(|(phase, percent, bytes_in_per_second)| SyncProgress {
                phase, percent, downloaded_bytes: None, bytes_in_per_second,
            }),
        }
    }
}

prop_compose! {
    fn anything()(
        strings in proptest::collection::vec(some(string()), 22),
        times in proptest::collection::vec(some(time()), 7),
        n in proptest::collection::vec(some(any::<u64>()), 17),
        floats in proptest::collection::vec(some(any::<f64>()), 2),
        flags in proptest::collection::vec(some(any::<bool>()), 3),
        reasons in proptest::collection::vec(string(), 0..40),
        pending in proptest::collection::vec(string(), 0..40),
        chains in proptest::collection::btree_map(proptest::sample::select(Chain::VARIANTS.to_vec()), chain(), 0..=2),
        (health, phase) in (proptest::sample::select(Health::VARIANTS), some(proptest::sample::select(Phase::VARIANTS))),
        code in some(any::<i64>()),
    ) -> Status {
        let s = |i: usize| strings[i].clone();
        Status {
            schema: SCHEMA, time: times[0].unwrap_or_default(), health, phase,
            summary: s(0).unwrap_or_default(), reasons, chains,
            collator: CollatorStatus {
                container: s(1), image: s(2), digest: s(3), id: s(4), state: s(5), started_at: times[1],
                restarts: RestartStatus {
                    health: n[0], crash: n[1], budget_left: n[2], budget: n[3], budget_window_seconds: n[4],
                },
                last_exit: code.map(|_| LastExitStatus { code, oom: flags[0], at: times[2] }),
            },
            collation: n[5].map(|built| CollationStatus { built: Some(built), sent: n[6], last_built_seconds_ago: n[7] }),
            host: HostStatus {
                disk_free_bytes: n[8], disk_total_bytes: n[9], disk_full_in_seconds: n[10],
                memory_available_bytes: n[11], memory_full_percent: floats[1], clock_offset_ms: floats[0],
                load1: floats[1], network_ok: flags[1], clock_unknown: s(20), network_unknown: s(21),
            },
            ec2: s(6).map(|id| Ec2Status { instance_id: Some(id), notice: s(7), unseen: None, unanswered: s(7) }),
            bake: n[12].map(|block| BakeStatus { block: Some(block), at: times[3] }),
            maintenance: s(8).map(|reason| PauseStatus { reason: Some(reason), until: times[4] }),
            last_incident: s(9).map(|id| LastIncident { id: Some(id), cause: s(10), at: times[5], helped: flags[2] }),
            update: s(14).map(|image| UpdateStatus {
                image: Some(image), from: s(15), step: s(16), ends_in_seconds: n[16], result: s(17), reason: s(18),
                at: times[6], configured: s(19),
            }),
            configuration: s(20).map(|error| ConfigurationStatus {
                error: Some(error).filter(|_| flags[0].is_some()), pending: pending.clone(),
                replaces_container: flags[1].is_some(),
            }),
            identity: code.map(|_| Holding::ReadOnly),
            next: s(11).map(|action| NextActionStatus { action, in_seconds: n[13], why: s(12) }),
            agent: AgentProcessStatus { version: s(13), pid: Some(u32::MAX), uptime_seconds: n[14], rss_bytes: n[15] },
            shortened: false,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn both_forms_fit_whatever_is_inside(status in anything()) {
        assert_bounds(&status);
    }
}
