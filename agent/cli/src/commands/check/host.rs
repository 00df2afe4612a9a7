//! Checks of the host's memory, clock and network.

use agent_config::Config;
use agent_core::event::HostFacts;
use agent_daemon::host::HostProbe;

use super::report::Finding;

pub(super) async fn check_host(config: &Config) -> Vec<Finding> {
    let facts = HostProbe::new(config).observe().await;
    vec![
        check_memory(config, HostProbe::total_memory()),
        check_clock(config, &facts),
        check_network(&facts),
    ]
}

/// `total` is what the host has, bytes.
pub(super) fn check_memory(config: &Config, total: Option<u64>) -> Finding {
    let mib = |bytes: u64| bytes >> 20;
    match (total, config.collator.memory) {
        (None, _) => Finding::skip("memory", "the kernel does not tell how much there is"),
        (Some(total), Some(limit)) if limit > total => Finding::fail(
            "memory",
            format!(
                "the collator may use {} MiB and the host has {}: lower collator.memory or use a larger instance",
                mib(limit),
                mib(total)
            ),
        ),
        (Some(total), Some(limit)) if limit > total / 10 * 9 => Finding::warn(
            "memory",
            format!(
                "the collator may use {} of the host's {} MiB, which leaves little for the rest: lower \
                 collator.memory",
                mib(limit),
                mib(total)
            ),
        ),
        (Some(total), Some(limit)) => Finding::pass(
            "memory",
            format!("{} MiB, the collator may use {}", mib(total), mib(limit)),
        ),
        (Some(total), None) => Finding::pass("memory", format!("{} MiB, no limit for the collator", mib(total))),
    }
}

pub(super) fn check_clock(config: &Config, facts: &HostFacts) -> Finding {
    let Some(offset) = facts.clock_offset_ms else {
        return Finding::skip(
            "clock",
            "it is not known how exact it is, and collating needs exact time: install chrony and let it synchronise",
        );
    };
    if offset.abs() > config.host.clock_warn.as_secs_f64() * 1000.0 {
        return Finding::fail(
            "clock",
            format!("off by {offset:.0} ms, and collating needs exact time: see chronyc sources"),
        );
    }
    Finding::pass("clock", format!("off by {offset:.1} ms"))
}

pub(super) fn check_network(facts: &HostFacts) -> Finding {
    match facts.network_ok {
        Some(true) => Finding::pass("network", "a default route, and a resolver that answers"),
        Some(false) => Finding::fail(
            "network",
            "no default route, or no resolver answers: see ip route and /etc/resolv.conf",
        ),
        None => Finding::skip("network", "no resolver is configured, so it cannot be determined"),
    }
}
