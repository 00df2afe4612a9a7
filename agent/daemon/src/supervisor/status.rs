//! The status document, from the core's state and the adapters' facts.

use std::time::Duration;

use super::adapter_facts::AdapterFacts;
use super::clock::AgentClock;
use crate::exporter::CollationCounts;
use agent_config::Config;
use agent_core::chain_health::ChainTracker;
use agent_core::event::{Chain, Time};
use agent_core::machine::{Machine, Phase};
use agent_core::status::{self, Status};
use agent_core::units::{rounded_duration, show_duration};
use agent_runtime::{Instant, wall};

/// Builds the document; unknown fields stay absent.
pub(super) fn status(
    machine: &Machine,
    facts: &AdapterFacts,
    config: &Config,
    clock: &AgentClock,
    started: Instant,
) -> Status {
    let now = clock.now();
    let phase = machine.phase();
    let detail = facts.detail.as_ref();
    let host = machine.host();
    let exit = machine.last_exit();
    Status {
        time: wall::now(),
        health: machine.health(),
        phase: Some(phase),
        summary: summary(machine, phase, now),
        reasons: machine.problems().into_iter().map(|problem| problem.text).collect(),
        collator: status::CollatorStatus {
            container: Some(config.collator.container.clone()),
            image: Some(
                machine
                    .image()
                    .map_or(&config.collator.image, |image| &image.reference)
                    .clone(),
            ),
            digest: detail.and_then(|d| d.digest.clone()),
            id: detail.map(|d| d.id.clone()),
            state: detail
                .map(|d| d.status.clone())
                .or_else(|| machine.absence().map(str::to_owned)),
            started_at: detail.and_then(|d| d.started_at),
            restarts: status::RestartStatus {
                health: Some(machine.health_restarts()),
                crash: Some(machine.crash_restarts()),
                budget_left: Some(u64::from(machine.budget_left())),
                budget: Some(u64::from(config.restart.budget)),
                budget_window_seconds: Some(config.restart.budget_window.as_secs()),
            },
            last_exit: exit.map(|e| status::LastExitStatus {
                code: e.code,
                oom: Some(e.oom),
                at: Some(clock.wall(e.at)),
            }),
        },
        chains: machine
            .trackers()
            .map(|(chain, t)| (chain, chain_status(machine, facts, chain, t, now)))
            .collect(),
        collation: (facts.collation != CollationCounts::default()).then(|| status::CollationStatus {
            built: facts.collation.built,
            sent: facts.collation.sent,
            last_built_seconds_ago: facts.built.map(|(_, at)| now.since(at).as_secs()),
        }),
        host: status::HostStatus {
            disk_free_bytes: host.disk_free_bytes,
            disk_total_bytes: host.disk_total_bytes,
            disk_full_in_seconds: facts.disk.full_in_seconds(),
            memory_available_bytes: host.memory_available_bytes,
            clock_offset_ms: host.clock_offset_ms,
            memory_full_percent: host.memory_full_percent,
            load1: host.load1,
            network_ok: host.network_ok,
            clock_unknown: facts.unknown.clock.map(str::to_owned),
            network_unknown: facts.unknown.network.map(str::to_owned),
        },
        bake: facts.bake.clone(),
        maintenance: machine.pause().map(|(until, reason)| status::PauseStatus {
            reason: Some(reason.to_owned()),
            until: Some(clock.wall(until)),
        }),
        last_incident: facts.last_incident.clone(),
        update: update(machine, config, clock),
        configuration: Some(&facts.configuration)
            .filter(|configuration| **configuration != status::ConfigurationStatus::default())
            .cloned(),
        ec2: ec2(machine, facts),
        identity: machine.identity().map(|identity| identity.holding),
        next: machine.next().map(|next| status::NextActionStatus {
            action: next.action.to_owned(),
            in_seconds: Some(next.at.since(now).as_secs()),
            why: Some(next.cause.into_str().to_owned()),
        }),
        agent: status::AgentProcessStatus {
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            pid: Some(std::process::id()),
            uptime_seconds: Some(started.elapsed().as_secs()),
            // Read when somebody asks.
            rss_bytes: None,
        },
        ..Status::default()
    }
}

fn chain_status(
    machine: &Machine,
    facts: &AdapterFacts,
    chain: Chain,
    tracker: &ChainTracker,
    now: Time,
) -> status::ChainStatus {
    let (blocks_per_second, eta_seconds) = tracker.speed();
    let sample = tracker.sample();
    // Without a run nothing is observed, and the tracker forgets when it was.
    let read_at = facts.read_at.get(&chain).copied().filter(|_| sample.is_some());
    status::ChainStatus {
        id: facts.nodes.get(&chain).and_then(|node| node.chain_id.clone()),
        verdict: machine.verdict(now, chain),
        best: sample.and_then(|s| s.best),
        finalized: sample.and_then(|s| s.finalized),
        target: sample.and_then(|s| s.target),
        behind: tracker.behind(),
        peers: sample.and_then(|s| s.peers),
        blocks_per_second,
        eta_seconds,
        sync: tracker.hidden_progress(),
        progress_seconds_ago: tracker.progressed_at().map(|at| now.since(at).as_secs()),
        scrape: match tracker.last_error() {
            Some(error) => Some(error.into()),
            None => sample.map(|_| status::ScrapeStatus::Ok),
        },
        sample_seconds_ago: tracker.sampled_at().or(read_at).map(|at| now.since(at).as_secs()),
        stale: sample.is_some() && machine.up_since().is_none(),
    }
}

/// The state in one sentence, from the most relevant chain.
fn summary(machine: &Machine, phase: Phase, now: Time) -> String {
    let slowest = machine
        .trackers()
        .filter(|(chain, _)| machine.verdict(now, *chain) == agent_core::chain_health::Verdict::Syncing)
        .find_map(|(chain, t)| syncing(chain, t));
    match phase {
        Phase::Syncing | Phase::WaitingForRelay => {
            let wait = if phase == Phase::WaitingForRelay {
                "the parachain waits for the relay chain; "
            } else {
                ""
            };
            format!("{wait}{}", slowest.unwrap_or_else(|| "syncing".to_owned()))
        }
        Phase::Synced => {
            let best =
                |(chain, t): (Chain, &ChainTracker)| Some(format!("{} #{}", chain.into_str(), t.sample()?.best?));
            format!(
                "in sync: {}",
                machine.trackers().filter_map(best).collect::<Vec<_>>().join(", ")
            )
        }
        Phase::Pulling => "the container is being made, its image pulled where it is not here".to_owned(),
        Phase::Starting => "the collator is starting".to_owned(),
        Phase::Restarting => "the collator is being restarted".to_owned(),
        _ => machine
            .problems()
            .into_iter()
            .next()
            .map_or_else(|| "no exporter answers at the moment".to_owned(), |p| p.text),
    }
}

fn syncing(chain: Chain, tracker: &ChainTracker) -> Option<String> {
    if let Some(progress) = tracker.hidden_progress() {
        return Some(format!("{}: {progress}", chain.into_str()));
    }
    let sample = tracker.sample()?;
    let (best, target) = (sample.best?, sample.target?);
    if tracker.behind().is_none() {
        // Without peers, the node reports its own height as its target.
        return Some(format!(
            "{} #{best}, without peers its distance is unknown",
            chain.into_str()
        ));
    }
    let tenths = u128::from(best) * 1000 / u128::from(target.max(1));
    let (speed, eta) = tracker.speed();
    let speed = speed.map(|s| format!(", {s:.1} blocks/s")).unwrap_or_default();
    let eta = eta
        .map(|s| format!(", about {} left", rounded_duration(s)))
        .unwrap_or_default();
    Some(format!(
        "{} {}.{} % synced{speed}{eta}",
        chain.into_str(),
        tenths / 10,
        tenths % 10
    ))
}

/// One chain's latest facts in one line, for an incident.
pub(super) fn chain_evidence(chain: Chain, tracker: &ChainTracker) -> String {
    let number = |n: Option<u64>| n.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
    let sample = tracker.sample();
    format!(
        "{}: best {}, target {}, peers {}, stuck for {} s, without peers for {} s, last scrape {}",
        chain.into_str(),
        number(sample.and_then(|s| s.best)),
        number(sample.and_then(|s| s.target)),
        number(sample.and_then(|s| s.peers)),
        tracker.stuck().total().as_secs(),
        tracker.no_peers_for().as_secs(),
        tracker
            .last_error()
            .map_or("ok", |e| status::ScrapeStatus::from(e).into_str()),
    )
}

/// The update under way, or else the last one; `None` when there never was one.
fn update(machine: &Machine, config: &Config, clock: &AgentClock) -> Option<status::UpdateStatus> {
    let seconds = |left: Duration| left.as_secs();
    let configured = machine
        .image()
        .filter(|image| image.reference != config.collator.image)
        .map(|_| config.collator.image.clone());
    if let Some(update) = machine.update() {
        return Some(status::UpdateStatus {
            image: Some(update.image.to_owned()),
            from: update.images.map(|images| images.from.reference.clone()),
            step: Some(update.step.into_str().to_owned()),
            ends_in_seconds: update.left.map(seconds),
            result: None,
            reason: update.reason.map(str::to_owned),
            at: Some(clock.wall(update.began)),
            configured,
        });
    }
    let past = machine.past_updates().next_back()?;
    Some(status::UpdateStatus {
        image: Some(past.image.clone()),
        from: past.images.as_ref().map(|images| images.from.reference.clone()),
        step: None,
        ends_in_seconds: None,
        result: Some(past.result.into_str().to_owned()),
        reason: past.reason.clone(),
        at: Some(clock.wall(past.ended)),
        configured,
    })
}

/// The instance and its notice; `None` off EC2.
fn ec2(machine: &Machine, facts: &AdapterFacts) -> Option<status::Ec2Status> {
    let notice = machine.notice().map(|(kind, left)| {
        let left = left.map(|left| Duration::from_secs(left.as_secs()));
        let left = left
            .map(|left| format!(" in {}", show_duration(left)))
            .unwrap_or_default();
        format!("{}{left}", kind.into_str().replace('_', " "))
    });
    let known = facts.instance.is_some() || notice.is_some();
    known.then(|| status::Ec2Status {
        instance_id: facts.instance.clone(),
        notice,
        unseen: facts.notices_unseen.clone(),
        unanswered: facts.hook_unanswered.clone(),
    })
}
