//! Every phase with each health that it can have.

use super::*;

pub(super) type Case = (Phase, Health, &'static str, &'static [&'static str], fn(&mut Status));

/// Every phase with each health that it can have.
pub(super) const CASES: &[Case] = &[
    (Phase::Pulling, Health::Ok, "layer 3 of 8, 41 % of 312 MiB", &[], |s| {
        s.chains.clear();
        s.collator = CollatorStatus {
            state: Some("missing".into()),
            image: s.collator.image.take(),
            container: s.collator.container.take(),
            ..CollatorStatus::default()
        };
    }),
    (
        Phase::Pulling,
        Health::Degraded,
        "the registry does not answer",
        &[
            "registry.example: connection timed out after 30s, 4 attempts; check the name, the network and registry_auth",
        ],
        |s| {
            s.chains.clear();
            state(s, "exited");
            next(s, "pull", 42, "attempt 5");
        },
    ),
    (
        Phase::Starting,
        Health::Ok,
        "waiting for the exporters, 9m 42s of grace left",
        &[],
        |s| {
            state(s, "running");
            s.collator.started_at = at("2026-11-22T22:49:42Z");
        },
    ),
    (
        Phase::Starting,
        Health::Degraded,
        "blind: no exporter answers",
        &[
            "no exporter answered since the start 31m 2s ago and a restart did not help; check that the node listens \
           with --prometheus-external and that its ports are published",
        ],
        |s| state(s, "running"),
    ),
    (
        Phase::Syncing,
        Health::Ok,
        "parachain 95.0 % synced, 12.3 blocks/s, about 6m 46s left",
        &[],
        |_| {},
    ),
    (
        Phase::Syncing,
        Health::Degraded,
        "falling behind: 5,000 blocks and more every minute",
        &[
            "the distance grew for 10m while blocks were imported",
            "disk: 8 % free, below 10 %",
        ],
        |s| s.host.disk_full_in_seconds = Some(273_600),
    ),
    (Phase::Synced, Health::Ok, "both chains at their heads", &[], |s| {
        let chain = s.chains.get_mut(&Chain::Parachain).unwrap();
        chain.verdict = Verdict::Synced;
        (chain.best, chain.behind, chain.eta_seconds) = (Some(100_000), Some(0), None);
        s.collation = Some(CollationStatus {
            built: Some(12),
            sent: Some(11),
            last_built_seconds_ago: Some(6),
        });
        s.ec2 = Some(Ec2Status {
            instance_id: Some("i-0123456789abcdef0".into()),
            notice: None,
            unseen: None,
            unanswered: None,
        });
        s.bake = Some(BakeStatus {
            block: Some(90_000),
            at: at("2026-11-01T00:00:00Z"),
        });
        incident(s, "stalled", Some(true));
    }),
    (
        Phase::Synced,
        Health::Degraded,
        "the clock is off",
        &["clock: off by 812.0 ms, above 500 ms"],
        |s| {
            s.host.clock_offset_ms = Some(812.0);
        },
    ),
    (
        Phase::WaitingForRelay,
        Health::Ok,
        "relay chain 41.2 % synced",
        &[],
        |s| {
            stuck(s, Verdict::WaitingForRelay);
            s.chains.get_mut(&Chain::Relaychain).unwrap().verdict = Verdict::Syncing;
        },
    ),
    (
        Phase::Quiet,
        Health::Degraded,
        "the parachain makes no blocks",
        &["parachain: nobody makes blocks; a restart here cannot change that"],
        |s| {
            stuck(s, Verdict::Quiet);
            let chain = s.chains.get_mut(&Chain::Parachain).unwrap();
            (chain.target, chain.behind) = (chain.best, Some(0));
        },
    ),
    (
        Phase::Isolated,
        Health::Degraded,
        "no peers, and the host has no network",
        &["parachain: no peers for 6m 2s", "host: no default route"],
        |s| {
            stuck(s, Verdict::Isolated);
            s.chains.get_mut(&Chain::Parachain).unwrap().peers = Some(0);
            s.host.network_ok = Some(false);
        },
    ),
    (
        Phase::Stalled,
        Health::Critical,
        "restarting does not help",
        &["two restarts in a row did not help"],
        |s| {
            stuck(s, Verdict::Stalled);
            s.collator.restarts.budget_left = Some(1);
            incident(s, "stalled", Some(false));
        },
    ),
    (
        Phase::Frozen,
        Health::Critical,
        "no exporter answers, Docker does",
        &["both exporters time out for 2m 1s"],
        |s| {
            for chain in s.chains.values_mut() {
                (chain.verdict, chain.scrape, chain.sample_seconds_ago) =
                    (Verdict::Unknown, Some(ScrapeStatus::Timeout), Some(121));
            }
            next(s, "restart", 0, "frozen");
        },
    ),
    (
        Phase::Restarting,
        Health::Degraded,
        "stopping the collator, up to 5m",
        &["stalled: no progress for 5m 12s"],
        |s| {
            stuck(s, Verdict::Stalled);
            incident(s, "stalled", None);
        },
    ),
    (
        Phase::Backoff,
        Health::Degraded,
        "the collator exited, starting again in 16s",
        &["exit code 1"],
        |s| {
            state(s, "exited");
            next(s, "start", 16, "backoff after 5 exits in 10m");
        },
    ),
    (
        Phase::Backoff,
        Health::Critical,
        "crash loop",
        &["5 exits in 10m, the last with code 1"],
        |s| {
            state(s, "exited");
            next(s, "start", 300, "backoff at its cap");
        },
    ),
    (
        Phase::Holding,
        Health::Critical,
        "the database is damaged, restarting would make it worse",
        &[
            "the collator's last words: \"DB corrupted: Corruption: block checksum mismatch\". Nothing starts it \
           again. Cure: move /var/lib/t0rn-collator aside, restore a snapshot or sync anew, then: t0rn-agent start",
        ],
        |s| state(s, "exited"),
    ),
    (
        Phase::Paused,
        Health::Degraded,
        "automatic actions are suspended",
        &["paused by the operator"],
        |s| {
            s.maintenance = Some(PauseStatus {
                reason: Some("moving the volume".into()),
                until: at("2026-11-23T00:50:00Z"),
            });
        },
    ),
    (
        Phase::Stopped,
        Health::Critical,
        "stopped by the operator",
        &["start it again with: t0rn-agent start"],
        |s| {
            state(s, "exited");
        },
    ),
    (
        Phase::DockerUnreachable,
        Health::Degraded,
        "Docker does not answer for 1m 2s",
        &["/run/docker.sock: connection refused; check: systemctl status docker"],
        |s| {
            s.collator.state = None;
            next(s, "ask Docker again", 4, "attempt 12");
        },
    ),
    (Phase::Starting, Health::Unknown, "nothing observed yet", &[], |s| {
        *s = Status {
            time: s.time,
            health: s.health,
            phase: s.phase,
            summary: s.summary.clone(),
            ..Status::default()
        };
    }),
];
