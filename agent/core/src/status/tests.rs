#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bounds;
mod cases;

use strum::VariantArray as _;

use cases::CASES;

use super::format::width;
use super::*;
use crate::event::Holding;

#[expect(clippy::unnecessary_wraps, reason = "all times of a status are optional")]
fn at(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

/// A collator in the middle of its first sync, everything known.
fn syncing() -> Status {
    let parachain = ChainStatus {
        id: Some("t0rn_testnet".into()),
        verdict: Verdict::Syncing,
        best: Some(95_000),
        finalized: Some(94_000),
        target: Some(100_000),
        behind: Some(5_000),
        peers: Some(12),
        blocks_per_second: Some(12.345_678),
        eta_seconds: Some(406),
        progress_seconds_ago: Some(2),
        sync: None,
        scrape: Some(ScrapeStatus::Ok),
        sample_seconds_ago: Some(2),
        stale: false,
    };
    let relaychain = ChainStatus {
        id: Some("rococo".into()),
        verdict: Verdict::Synced,
        best: Some(18_234_567),
        finalized: Some(18_234_565),
        target: Some(18_234_567),
        behind: Some(0),
        peers: Some(25),
        blocks_per_second: Some(0.166_7),
        eta_seconds: None,
        ..parachain.clone()
    };
    Status {
        time: "2026-11-22T22:50:00.123456789Z".parse().unwrap(),
        health: Health::Ok,
        phase: Some(Phase::Syncing),
        summary: "parachain 95.0 % synced, 12.3 blocks/s, about 6m 46s left".into(),
        collator: CollatorStatus {
            container: Some("t0rn-collator".into()),
            image: Some("3h4xx/t0rn-collator:v1.2.0-rc.4".into()),
            digest: Some(format!("sha256:{}", "0123456789abcdef".repeat(4))),
            id: Some("ab12cd34ef56".into()),
            state: Some("running".into()),
            started_at: at("2026-11-22T19:38:00Z"),
            restarts: RestartStatus {
                health: Some(0),
                crash: Some(1),
                budget_left: Some(3),
                budget: Some(3),
                budget_window_seconds: Some(21_600),
            },
            last_exit: Some(LastExitStatus {
                code: Some(137),
                oom: Some(false),
                at: at("2026-11-22T19:37:58Z"),
            }),
        },
        chains: [(Chain::Parachain, parachain), (Chain::Relaychain, relaychain)].into(),
        host: HostStatus {
            disk_free_bytes: Some(128_849_018_880),
            disk_total_bytes: Some(214_748_364_800),
            disk_full_in_seconds: None,
            memory_available_bytes: Some(1_288_490_188),
            clock_offset_ms: Some(1.2),
            memory_full_percent: Some(1.5),
            load1: Some(0.42),
            network_ok: Some(true),
            clock_unknown: None,
            network_unknown: None,
        },
        agent: AgentProcessStatus {
            version: Some("0.1.0".into()),
            pid: Some(812),
            uptime_seconds: Some(11_530),
            rss_bytes: Some(6_396_313),
        },
        ..Status::default()
    }
}

fn state(status: &mut Status, state: &str) {
    status.collator.state = Some(state.into());
    status.collator.started_at = None;
    for chain in status.chains.values_mut() {
        *chain = ChainStatus {
            scrape: Some(ScrapeStatus::Refused),
            sample_seconds_ago: Some(71),
            ..ChainStatus::default()
        };
    }
}

fn next(status: &mut Status, action: &str, in_seconds: u64, why: &str) {
    status.next = Some(NextActionStatus {
        action: action.into(),
        in_seconds: Some(in_seconds),
        why: Some(why.into()),
    });
}

fn incident(status: &mut Status, cause: &str, helped: Option<bool>) {
    status.last_incident = Some(LastIncident {
        id: Some(format!("20261122-223911-{cause}")),
        cause: Some(cause.into()),
        at: at("2026-11-22T22:39:11Z"),
        helped,
    });
}

fn stuck(status: &mut Status, verdict: Verdict) {
    let chain = status.chains.get_mut(&Chain::Parachain).unwrap();
    chain.verdict = verdict;
    chain.blocks_per_second = Some(0.0);
    chain.eta_seconds = None;
    chain.progress_seconds_ago = Some(312);
}

#[test]
fn every_phase_reads_well_and_fits() {
    for (phase, health, summary, reasons, change) in CASES {
        let mut status = syncing();
        (status.phase, status.health, status.summary) = (Some(*phase), *health, (*summary).into());
        status.reasons = reasons.iter().map(|r| (*r).into()).collect();
        change(&mut status);
        let text = status.render(false);
        assert_bounds(&status);
        insta::assert_snapshot!(format!("{}_{}", phase.into_str(), health.into_str()), text);
    }
    for phase in Phase::VARIANTS {
        assert!(CASES.iter().any(|case| case.0 == *phase), "{phase:?} has no case");
    }
}

#[test]
fn json_has_every_field_of_the_contract() {
    let mut status = syncing();
    (CASES[6].4)(&mut status);
    status.chains.get_mut(&Chain::Parachain).unwrap().sync = Some(state_download());
    status.chains.get_mut(&Chain::Relaychain).unwrap().stale = true;
    status.host.clock_unknown = Some("no time service can be asked; install chrony".into());
    status.host.network_unknown = Some("no resolver is configured in /etc/resolv.conf".into());
    status.configuration = Some(ConfigurationStatus {
        error: Some("agent.toml:3: key `collator.image`".into()),
        pending: vec!["collator.image".into()],
        replaces_container: true,
    });
    status.identity = Some(Holding::Held);
    status.maintenance = Some(PauseStatus::default());
    status.update = Some(UpdateStatus::default());
    let ec2 = status.ec2.as_mut().unwrap();
    ec2.unseen = Some("the instance metadata service does not tell: it answers 503 Service Unavailable".into());
    ec2.unanswered = Some("allow autoscaling:CompleteLifecycleAction to the instance's role".into());
    next(&mut status, "restart", 60, "stalled");
    let value: serde_json::Value = serde_json::from_str(&status.to_json()).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
}

#[test]
fn update_shows_its_step_or_end_and_configuration_to_write() {
    let mut status = syncing();
    let lines = |status: &Status| -> Vec<String> {
        let text = status.render(false);
        let lines = text.lines().skip_while(|line| !line.starts_with("update"));
        lines.take(2).map(str::to_owned).collect()
    };
    status.update = Some(UpdateStatus {
        image: Some("org/node:v2".into()),
        step: Some("rolling_back".into()),
        reason: Some("it exited with code 1".into()),
        ..UpdateStatus::default()
    });
    assert_eq!(
        lines(&status)[0],
        "update      rolling back   to org/node:v2   it exited with code 1"
    );
    status.update = Some(UpdateStatus {
        image: Some("org/node:v2".into()),
        step: Some("probation".into()),
        ends_in_seconds: Some(90),
        configured: Some("org/node:v1".into()),
        ..UpdateStatus::default()
    });
    assert_eq!(
        lines(&status),
        [
            "update      probation, 1m 30s left   to org/node:v2",
            "            write the image that runs into collator.image, which says org/node:v1"
        ]
    );
}

#[test]
fn json_of_nothing_known_is_null_all_over() {
    let json = Status::default().to_json();
    assert!(!json.contains("shortened"));
    insta::assert_snapshot!(json);
}

#[test]
fn a_status_of_another_version_is_still_read() {
    let status: Status =
        serde_json::from_str(r#"{"schema": 1, "health": "ok", "phase": "synced", "invented": {"later": 1}}"#).unwrap();
    assert_eq!((status.health, status.phase), (Health::Ok, Some(Phase::Synced)));
}

#[test]
fn the_exit_codes_are_those_of_nagios() {
    assert_eq!(
        Health::VARIANTS.iter().map(|h| h.exit_code()).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
}

#[test]
fn colour_adds_nothing_but_colour() {
    let status = syncing();
    let painted = status.render(true);
    assert!(painted.starts_with("\x1b[32mOK\x1b[0m: syncing"));
    assert_eq!(format::clean(&painted), format::clean(&status.render(false)));
}

#[test]
fn a_cut_is_marked_in_the_json() {
    let mut status = syncing();
    status.reasons = vec!["\"long\" ".repeat(1_000); 9];
    assert_bounds(&status);
    let back: Status = serde_json::from_str(&status.to_json()).unwrap();
    assert!(back.shortened);
    assert_eq!((back.reasons.len(), back.chains.len()), (5, 2));
    assert_eq!(back.collator.digest, status.collator.digest);
}

fn assert_bounds(status: &Status) {
    for colour in [false, true] {
        let text = status.render(colour);
        assert!(text.chars().count() <= MAX_CHARS, "{} characters", text.chars().count());
        let plain = text.replace("\x1b[0m", "");
        let plain = ["31", "32", "33", "35"]
            .iter()
            .fold(plain, |t, c| t.replace(&format!("\x1b[{c}m"), ""));
        assert!(!plain.chars().any(|c| c.is_control() && c != '\n'));
        assert!(plain.lines().all(|line| width(line) <= 100), "{plain}");
    }
    let json = status.to_json();
    assert!(json.chars().count() <= MAX_CHARS, "{} characters", json.chars().count());
    assert!(!json.chars().any(char::is_control));
    let back: Status = serde_json::from_str(&json).unwrap();
    assert_eq!((back.health, back.phase), (status.health, status.phase));
}

fn state_download() -> SyncProgress {
    SyncProgress {
        phase: crate::informant::SyncPhase::StateDownload,
        percent: Some(32.0),
        downloaded_bytes: None,
        bytes_in_per_second: Some(1_048_576.0),
    }
}

#[test]
fn heights_of_a_collator_that_is_down_are_marked_as_old() {
    let mut status = syncing();
    assert!(!status.to_json().contains("stale"));
    let parachain = status.chains.get_mut(&Chain::Parachain).unwrap();
    (parachain.stale, parachain.sample_seconds_ago, parachain.peers) = (true, Some(300), Some(1));
    let text = status.render(false);
    let marked = "these are old: the collator does not run   newest sample: 5m old";
    assert_eq!(text.lines().filter(|line| line.trim() == marked).count(), 1, "{text}");
    assert!(text.contains(" 1 peer, progress"), "{text}");
    assert!(status.to_json().contains(r#""stale":true"#));
    status.chains.get_mut(&Chain::Parachain).unwrap().sample_seconds_ago = None;
    assert!(
        status
            .render(false)
            .contains("newest sample: older than the agent's start")
    );
}

#[test]
fn what_is_unknown_about_the_host_stands_there_with_its_reason() {
    let mut status = syncing();
    (status.host.clock_offset_ms, status.host.network_ok) = (None, None);
    let text = status.render(false);
    assert!(text.contains("clock ?   network ?"), "of an earlier agent: {text}");
    status.host.clock_unknown = Some("chrony is not synchronised: chronyc sources".into());
    status.host.network_unknown = Some("no resolver is configured in /etc/resolv.conf".into());
    let text = status.render(false);
    assert!(!text.contains('?'), "{text}");
    assert!(
        text.contains("\n            clock unknown: chrony is not synchronised: chronyc sources\n"),
        "{text}"
    );
    assert!(
        text.contains("\n            network unknown: no resolver is configured in /etc/resolv.conf\n"),
        "{text}"
    );
}

#[test]
fn a_phase_that_no_height_shows_stands_beside_the_heights() {
    let mut status = syncing();
    let parachain = status.chains.get_mut(&Chain::Parachain).unwrap();
    parachain.sync = Some(state_download());
    let text = status.render(false);
    assert!(text.contains("state download 32 %, 1.0 MiB/s"), "{text}");
    let json = status.to_json();
    assert!(
        json.contains(r#""sync":{"phase":"state_download","percent":32.0"#),
        "{json}"
    );
}
