#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use strum::VariantArray as _;

use super::*;
use crate::event::Chain;
use crate::informant::SyncPhase;
use crate::machine::{Cause, UpdateResult};
use crate::published::CounterTotals;
use crate::status::{
    AgentProcessStatus, CollationStatus, CollatorStatus, LastIncident, PauseStatus, RestartStatus, ScrapeStatus,
    Status, SyncProgress,
};

/// Nothing is unknown and everything is wrong: every series that a rule or a dashboard may ask for.
fn full() -> AgentSnapshot {
    let parachain = ChainStatus {
        verdict: Verdict::Syncing,
        best: Some(95_000),
        finalized: Some(94_000),
        target: Some(100_000),
        behind: Some(5_000),
        peers: Some(12),
        blocks_per_second: Some(12.345),
        eta_seconds: Some(406),
        progress_seconds_ago: Some(2),
        scrape: Some(ScrapeStatus::Ok),
        sample_seconds_ago: Some(3),
        sync: Some(SyncProgress {
            phase: SyncPhase::StateDownload,
            percent: Some(32.0),
            downloaded_bytes: None,
            bytes_in_per_second: Some(1_048_576.0),
        }),
        ..ChainStatus::default()
    };
    let relaychain = ChainStatus {
        verdict: Verdict::Synced,
        best: Some(18_234_567),
        peers: Some(25),
        ..parachain.clone()
    };
    let status = Status {
        health: Health::Degraded,
        phase: Some(Phase::Syncing),
        collator: CollatorStatus {
            image: Some("3h4xx/t0rn-collator:v1.2.0-rc.4".into()),
            digest: Some("sha256:0123456789abcdef".into()),
            restarts: RestartStatus {
                budget: Some(3),
                budget_left: Some(2),
                ..RestartStatus::default()
            },
            ..CollatorStatus::default()
        },
        chains: [(Chain::Parachain, parachain), (Chain::Relaychain, relaychain)].into(),
        collation: Some(CollationStatus {
            built: Some(12),
            sent: Some(11),
            last_built_seconds_ago: Some(6),
        }),
        host: HostStatus {
            disk_free_bytes: Some(128_849_018_880),
            disk_total_bytes: Some(214_748_364_800),
            disk_full_in_seconds: Some(86_400),
            memory_available_bytes: Some(1_288_490_188),
            clock_offset_ms: Some(-1.25),
            memory_full_percent: Some(1.5),
            load1: Some(0.42),
            network_ok: Some(true),
            ..HostStatus::default()
        },
        maintenance: Some(PauseStatus::default()),
        last_incident: Some(LastIncident {
            cause: Some("stalled".into()),
            at: Some("2026-11-22T22:39:11Z".parse().unwrap()),
            helped: Some(true),
            ..LastIncident::default()
        }),
        agent: AgentProcessStatus {
            version: Some("0.1.0".into()),
            rss_bytes: Some(6_396_313),
            ..AgentProcessStatus::default()
        },
        ..Status::default()
    };
    let count = |causes: &[(Cause, u64)]| causes.iter().copied().collect();
    AgentSnapshot {
        problems: Cause::VARIANTS.iter().map(|cause| (*cause, Health::Degraded)).collect(),
        running: Some(true),
        nodes: std::collections::BTreeMap::new(),
        counters: CounterTotals {
            restarts: count(&[
                (Cause::Stalled, 1),
                (Cause::Exited, 2),
                (Cause::OutOfMemory, 0),
                (Cause::Operator, 0),
                (Cause::SpecChanged, 0),
                (Cause::Update, 0),
                (Cause::StoppedByPerson, 0),
            ]),
            restart_seconds: Some(0.75),
            incidents: count(&[(Cause::Stalled, 1), (Cause::Frozen, 0)]),
            updates: UpdateResult::VARIANTS.iter().map(|result| (*result, 1)).collect(),
            scrapes: ScrapeStatus::VARIANTS
                .iter()
                .map(|result| ((Chain::Parachain, *result), 7))
                .collect(),
            scrape_seconds: [(Chain::Parachain, 0.012), (Chain::Relaychain, 0.25)].into(),
        },
        started: "2026-11-22T19:37:50Z".parse().unwrap(),
        ..AgentSnapshot::of(status, Timestamp::UNIX_EPOCH, now())
    }
}

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn process() -> ProcessStats {
    ProcessStats {
        cpu_seconds: Some(1.25),
        open_fds: Some(21),
        max_fds: Some(1024),
        virtual_bytes: Some(12_641_280),
        resident_bytes: Some(6_396_313),
        started: Some(1_795_376_270.5),
    }
}

/// The page without what is about the process.
fn render(snapshot: &AgentSnapshot, now: Instant) -> String {
    super::render(snapshot, &ProcessStats::default(), Format::Text, now)
}

/// The names that have a series on a page.
fn names(page: &str) -> BTreeSet<&str> {
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect()
}

#[test]
fn the_page_of_an_agent_that_knows_everything() {
    let snapshot = full();
    let now = snapshot.at + Duration::from_millis(1_500);
    insta::assert_snapshot!(super::render(&snapshot, &process(), Format::Text, now));
}

#[test]
fn the_openmetrics_page_of_an_agent_that_knows_everything() {
    let snapshot = full();
    let now = snapshot.at + Duration::from_millis(1_500);
    let page = super::render(&snapshot, &process(), Format::OpenMetrics, now);
    insta::assert_snapshot!(page);
    let text = super::render(&snapshot, &process(), Format::Text, now);
    let series = |page: &str| -> Vec<String> {
        let series = page.lines().filter(|line| !line.starts_with('#'));
        series.map(str::to_owned).collect()
    };
    assert_eq!(series(&page), series(&text));
}

#[test]
fn what_nobody_knows_has_no_series() {
    let snapshot = AgentSnapshot::of(Status::default(), Timestamp::UNIX_EPOCH, now());
    let page = render(&snapshot, snapshot.at);
    let known = [
        "t0rn_agent_health",
        "t0rn_agent_loop_age_seconds",
        "t0rn_agent_start_time_seconds",
    ];
    assert_eq!(names(&page), known.into(), "{page}");
    assert!(page.contains("t0rn_agent_health{state=\"unknown\"} 1"), "{page}");
}

#[test]
fn the_numbers_of_a_chain_go_when_they_are_no_longer_fresh() {
    let mut snapshot = full();
    let chain = snapshot.status.chains.get_mut(&Chain::Parachain).unwrap();
    chain.verdict = Verdict::Unknown;
    let page = render(&snapshot, snapshot.at);
    let of = |chain: &str| -> Vec<&str> {
        let label = format!("{{chain=\"{chain}\"}}");
        let names = page.lines().filter_map(|line| line.split_once(&label));
        names.map(|(name, _)| name).collect()
    };
    let still = [
        "t0rn_agent_chain_progress_age_seconds",
        "t0rn_agent_chain_sample_age_seconds",
        "t0rn_agent_scrape_duration_seconds",
    ];
    assert_eq!(of("parachain"), still);
    assert_eq!(of("relaychain").len(), 11, "{page}");
}

#[test]
fn without_docker_nobody_knows_whether_the_container_runs() {
    let mut snapshot = full();
    snapshot.status.phase = Some(Phase::DockerUnreachable);
    snapshot.running = None;
    let page = render(&snapshot, snapshot.at);
    assert!(page.contains("\nt0rn_agent_docker_reachable 0\n"), "{page}");
    assert!(!page.contains("t0rn_agent_container_running"), "{page}");
}

#[test]
fn of_each_set_of_states_exactly_one_is_1() {
    for phase in Phase::VARIANTS {
        for health in Health::VARIANTS {
            let mut snapshot = full();
            snapshot.status.phase = Some(*phase);
            snapshot.status.health = *health;
            let page = render(&snapshot, snapshot.at);
            let on: Vec<_> = page
                .lines()
                .filter(|l| l.starts_with("t0rn_agent_phase{") || l.starts_with("t0rn_agent_health{"))
                .filter(|l| l.ends_with(" 1"))
                .collect();
            let (health, phase) = (health.into_str(), phase.into_str());
            let expected = [
                format!("t0rn_agent_health{{state=\"{health}\"}} 1"),
                format!("t0rn_agent_phase{{phase=\"{phase}\"}} 1"),
            ];
            assert_eq!(on, expected);
        }
    }
}

/// Name, labels with their values, number.
type Series = (String, Vec<(String, String)>, f64);

/// Reads one line of the page as the format's grammar has it.
fn parse(line: &str) -> Option<Series> {
    let is_name = |name: &str| {
        let mut chars = name.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Vec::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (label, quoted) = inside.split_once("=\"")?;
            let (mut value, mut chars) = (String::new(), quoted.char_indices());
            let end = loop {
                match chars.next()? {
                    (end, '"') => break end,
                    (_, '\\') => value.push(match chars.next()?.1 {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        _ => return None,
                    }),
                    (_, c) => value.push(c),
                }
            };
            labels.push((label.to_owned(), value));
            inside = &quoted[end + 1..];
            match inside.strip_prefix(',') {
                Some(more) => inside = more,
                None => break,
            }
        }
        rest = inside.strip_prefix('}')?;
    }
    let number = rest.strip_prefix(' ')?.parse().ok()?;
    let named = is_name(name) && labels.iter().all(|(label, _)| is_name(label));
    named.then_some((name.to_owned(), labels, number))
}

proptest! {
    #[test]
    fn whatever_stands_in_a_string_the_page_stays_exposition_text(
        image in any::<String>(),
        digest in proptest::option::of("[\\\\\"\n{},= a-z\u{0}-\u{1f}]{0,20}"),
        cause in "[\\\\\"\n{},= a-z]{0,20}",
        speed in any::<f64>(),
        offset in any::<f64>(),
    ) {
        let mut snapshot = full();
        let status = &mut snapshot.status;
        status.collator.image = Some(image.clone());
        status.collator.digest = digest.clone();
        status.last_incident.as_mut().unwrap().cause = Some(cause.clone());
        status.chains.get_mut(&Chain::Parachain).unwrap().blocks_per_second = Some(speed);
        status.host.clock_offset_ms = Some(offset);
        let page = render(&snapshot, snapshot.at);
        let mut series = BTreeSet::new();
        for line in page.split_terminator('\n').filter(|line| !line.starts_with('#')) {
            let parsed = parse(line);
            prop_assert!(parsed.is_some(), "{line:?}");
            let (name, labels, number) = parsed.unwrap();
            prop_assert!(number.is_finite(), "{line:?}");
            if name == "t0rn_agent_collator_info" {
                let values = [("image".to_owned(), image.clone()), ("digest".to_owned(), digest.clone().unwrap_or_default())];
                prop_assert_eq!(&labels, &values);
            }
            if name == "t0rn_agent_last_incident_helped" {
                prop_assert_eq!(&labels, &[("cause".to_owned(), cause.clone())]);
            }
            prop_assert!(series.insert((name, labels)), "twice: {line:?}");
        }
    }
}
