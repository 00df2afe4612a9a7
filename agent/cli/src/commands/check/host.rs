//! Checks of the host's memory, clock and network.

use agent_config::Config;
use agent_core::event::HostFacts;
use agent_core::units::rounded_size;
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
    match (total, config.collator.memory) {
        (None, _) => Finding::skip("memory", "the kernel does not tell how much there is"),
        (Some(total), Some(limit)) if limit > total => Finding::fail(
            "memory",
            format!(
                "the collator may use {} and the host has {}: lower collator.memory or use a larger instance",
                rounded_size(limit),
                rounded_size(total)
            ),
        ),
        (Some(total), Some(limit)) if limit > total / 10 * 9 => Finding::warn(
            "memory",
            format!(
                "the collator may use {} of the host's {}, which leaves little for the rest: lower \
                 collator.memory",
                rounded_size(limit),
                rounded_size(total)
            ),
        ),
        (Some(total), Some(limit)) => Finding::pass(
            "memory",
            format!("{}, the collator may use {}", rounded_size(total), rounded_size(limit)),
        ),
        (Some(total), None) => Finding::pass("memory", format!("{}, no limit for the collator", rounded_size(total))),
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
