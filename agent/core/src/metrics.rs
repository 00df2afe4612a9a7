//! The agent's own exporter page: a [`AgentSnapshot`] as Prometheus exposition text or `OpenMetrics`. Pure.
//!
//! What is unknown has no series, so a query can distinguish it from 0. The numbers of a chain go when they are no
//! longer fresh, also when they were known before.

mod format;
mod page;
mod process;
#[cfg(test)]
mod tests;

use std::time::Instant;

use strum::VariantArray as _;

pub use self::format::Format;
use self::page::{MetricsPage, Number};
pub use self::process::ProcessStats;
use crate::published::AgentSnapshot;
use crate::status::{ChainStatus, Health, HostStatus, Phase, Verdict};

pub fn render(snapshot: &AgentSnapshot, process: &ProcessStats, format: Format, now: Instant) -> String {
    let mut page = MetricsPage::new(format);
    agent(&mut page, snapshot, process, now);
    judgement(&mut page, snapshot);
    container(&mut page, snapshot);
    chains(&mut page, snapshot);
    collation(&mut page, snapshot);
    host(&mut page, &snapshot.status.host);
    process::process(&mut page, process);
    page.into_text()
}

fn agent(page: &mut MetricsPage, snapshot: &AgentSnapshot, process: &ProcessStats, now: Instant) {
    let version = snapshot.status.agent.version.as_deref();
    page.gauge(
        "t0rn_agent_build_info",
        "Which agent this is.",
        ["version"],
        version.map(|version| ([version], Some(1))),
    );
    page.one(
        "t0rn_agent_start_time_seconds",
        "When the agent started, Unix time.",
        u64::try_from(snapshot.started.as_second()).ok(),
    );
    page.one(
        "t0rn_agent_resident_memory_bytes",
        "Resident memory of the agent.",
        process.resident_bytes,
    );
    page.one(
        "t0rn_agent_loop_age_seconds",
        "Time since the supervision loop last came round.",
        Some(now.saturating_duration_since(snapshot.at).as_secs_f64()),
    );
}

fn judgement(page: &mut MetricsPage, snapshot: &AgentSnapshot) {
    let status = &snapshot.status;
    page.gauge(
        "t0rn_agent_health",
        "1 for the health that is, 0 for the others.",
        ["state"],
        Health::VARIANTS
            .iter()
            .map(|h| ([h.into_str()], Some(*h == status.health))),
    );
    page.gauge(
        "t0rn_agent_phase",
        "1 for the phase that is, 0 for the others.",
        ["phase"],
        Phase::VARIANTS
            .iter()
            .map(|p| ([p.into_str()], status.phase.map(|phase| *p == phase))),
    );
    page.gauge(
        "t0rn_agent_problem",
        "1 for each thing that is wrong now; what is not wrong has no series.",
        ["cause", "health"],
        snapshot
            .problems
            .iter()
            .map(|(cause, health)| ([cause.into_str(), health.into_str()], Some(1))),
    );
    page.one(
        "t0rn_agent_paused",
        "Whether automatic actions are suspended by an operator.",
        status.phase.map(|_| status.maintenance.is_some()),
    );
    page.counter(
        "t0rn_agent_incidents_total",
        "Faults that were answered with an action, since the agent started.",
        ["cause"],
        snapshot
            .counters
            .incidents
            .iter()
            .map(|(c, n)| ([c.into_str()], Some(*n))),
    );
    page.counter(
        "t0rn_agent_updates_total",
        "Updates of the collator's image that are over, since the agent started.",
        ["result"],
        snapshot
            .counters
            .updates
            .iter()
            .map(|(r, n)| ([r.into_str()], Some(*n))),
    );
    let last = status.last_incident.as_ref();
    let cause = last.and_then(|l| l.cause.as_deref()).unwrap_or_default();
    page.gauge(
        "t0rn_agent_last_incident_timestamp_seconds",
        "When the newest incident was, Unix time.",
        ["cause"],
        last.map(|l| ([cause], l.at.and_then(|at| u64::try_from(at.as_second()).ok()))),
    );
    page.gauge(
        "t0rn_agent_last_incident_helped",
        "Whether the action of the newest incident helped; absent until that is known.",
        ["cause"],
        last.map(|l| ([cause], l.helped)),
    );
}

fn container(page: &mut MetricsPage, snapshot: &AgentSnapshot) {
    let collator = &snapshot.status.collator;
    page.gauge(
        "t0rn_agent_collator_info",
        "Which collator the agent keeps running.",
        ["image", "digest"],
        collator
            .image
            .as_deref()
            .map(|image| ([image, collator.digest.as_deref().unwrap_or_default()], Some(1))),
    );
    let reachable = match snapshot.status.phase {
        Some(Phase::DockerUnreachable) => Some(false),
        _ => snapshot.running.map(|_| true),
    };
    page.one("t0rn_agent_docker_reachable", "Whether Docker answers.", reachable);
    page.one(
        "t0rn_agent_container_running",
        "Whether the collator's container runs.",
        snapshot.running,
    );
    page.one(
        "t0rn_agent_container_restart_seconds",
        "Time from the last end of the container to its running again.",
        snapshot.counters.restart_seconds,
    );
    page.counter(
        "t0rn_agent_restarts_total",
        "Runs of the container that followed another one, by what ended that; since the agent started.",
        ["cause"],
        snapshot
            .counters
            .restarts
            .iter()
            .map(|(c, n)| ([c.into_str()], Some(*n))),
    );
    page.one(
        "t0rn_agent_restart_budget",
        "Health restarts allowed within the budget's window.",
        collator.restarts.budget,
    );
    page.one(
        "t0rn_agent_restart_budget_left",
        "Health restarts still allowed in the running window.",
        collator.restarts.budget_left,
    );
}

fn chains(page: &mut MetricsPage, snapshot: &AgentSnapshot) {
    let mut gauge = |name: &str, help: &str, of: &dyn Fn(&ChainStatus) -> Option<Number>| {
        let chains = snapshot.status.chains.iter();
        page.gauge(
            name,
            help,
            ["chain"],
            chains.map(|(chain, c)| ([chain.into_str()], of(c))),
        );
    };
    // Heights of a node that went silent are history, not knowledge.
    let fresh = |chain: &ChainStatus, value: Option<Number>| {
        value.filter(|_| !matches!(chain.verdict, Verdict::Unknown | Verdict::Starting))
    };
    gauge(
        "t0rn_agent_chain_best_height",
        "Best block of the node, while its sample is fresh.",
        &|c| fresh(c, c.best.map(Number::from)),
    );
    gauge(
        "t0rn_agent_chain_finalized_height",
        "Finalized block of the node, while its sample is fresh.",
        &|c| fresh(c, c.finalized.map(Number::from)),
    );
    gauge(
        "t0rn_agent_chain_target_height",
        "Block that the node's peers are at, while its sample is fresh.",
        &|c| fresh(c, c.target.map(Number::from)),
    );
    gauge(
        "t0rn_agent_chain_behind_blocks",
        "Blocks from best to target, while that is known.",
        &|c| fresh(c, c.behind.map(Number::from)),
    );
    gauge(
        "t0rn_agent_chain_peers",
        "Peers of the node, while its sample is fresh.",
        &|c| fresh(c, c.peers.map(Number::from)),
    );
    gauge(
        "t0rn_agent_chain_blocks_per_second",
        "Speed over the last minute.",
        &|c| fresh(c, c.blocks_per_second.map(Number::from)),
    );
    gauge(
        "t0rn_agent_chain_sync_eta_seconds",
        "Time until best meets target at that speed.",
        &|c| fresh(c, c.eta_seconds.map(Number::from)),
    );
    gauge(
        "t0rn_agent_chain_sync_phase_percent",
        "Progress of the phase of synchronisation that no height shows, by the node's log.",
        &|c| fresh(c, c.sync?.percent.map(f64::from).map(Number::from)),
    );
    gauge(
        "t0rn_agent_chain_progress_age_seconds",
        "Time since best last rose.",
        &|c| c.progress_seconds_ago.map(Number::from),
    );
    gauge(
        "t0rn_agent_chain_sample_age_seconds",
        "Age of the newest sample.",
        &|c| c.sample_seconds_ago.map(Number::from),
    );
    let phases = snapshot.status.chains.iter();
    page.gauge(
        "t0rn_agent_chain_sync_phase",
        "1 for the phase of synchronisation that no height shows, by the node's log.",
        ["chain", "phase"],
        phases.filter_map(|(chain, c)| {
            let fresh = !matches!(c.verdict, Verdict::Unknown | Verdict::Starting);
            let sync = c.sync.filter(|_| fresh)?;
            Some(([chain.into_str(), sync.phase.into_str()], Some(1)))
        }),
    );
    page.counter(
        "t0rn_agent_scrapes_total",
        "Looks at the node's exporters by how they ended, since the agent started.",
        ["chain", "result"],
        snapshot
            .counters
            .scrapes
            .iter()
            .map(|((chain, result), n)| ([chain.into_str(), result.into_str()], Some(*n))),
    );
    page.gauge(
        "t0rn_agent_scrape_duration_seconds",
        "What the newest look at the node's exporter took.",
        ["chain"],
        snapshot
            .counters
            .scrape_seconds
            .iter()
            .map(|(chain, s)| ([chain.into_str()], Some(*s))),
    );
}

fn collation(page: &mut MetricsPage, snapshot: &AgentSnapshot) {
    let Some(collation) = &snapshot.status.collation else {
        return;
    };
    let total = |n: Option<u64>| [([], n)];
    page.counter(
        "t0rn_agent_collations_built_total",
        "Blocks that this collator built, since its process started.",
        [],
        total(collation.built),
    );
    page.counter(
        "t0rn_agent_collations_sent_total",
        "Collations that a validator fetched from it, since its process started.",
        [],
        total(collation.sent),
    );
    page.one(
        "t0rn_agent_collation_age_seconds",
        "Time since it last built a block.",
        collation.last_built_seconds_ago,
    );
}

fn host(page: &mut MetricsPage, host: &HostStatus) {
    page.one(
        "t0rn_agent_disk_free_bytes",
        "Free space of the file system that holds the chain data.",
        host.disk_free_bytes,
    );
    page.one(
        "t0rn_agent_disk_total_bytes",
        "Size of the file system that holds the chain data.",
        host.disk_total_bytes,
    );
    page.one(
        "t0rn_agent_disk_full_in_seconds",
        "Time until that file system is full at the present pace.",
        host.disk_full_in_seconds,
    );
    page.one(
        "t0rn_agent_memory_available_bytes",
        "Memory that the kernel can still give out.",
        host.memory_available_bytes,
    );
    page.one(
        "t0rn_agent_memory_full_ratio",
        "Share of the last minute in which everything that runs waited for memory.",
        host.memory_full_percent.map(|percent| percent / 100.0),
    );
    page.one(
        "t0rn_agent_clock_offset_seconds",
        "How far the host's clock is off.",
        host.clock_offset_ms.map(|ms| ms / 1000.0),
    );
    page.one("t0rn_agent_load1", "Load average over one minute.", host.load1);
    page.one(
        "t0rn_agent_network_ok",
        "Whether the host has a default route and a resolver that answers.",
        host.network_ok,
    );
}
