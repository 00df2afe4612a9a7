//! The table of all keys: the value of each in a configuration, and what a change of it needs.
//!
//! Every section is taken apart without `..`, so that a new key does not compile until it is in the table.

use agent_core::event::Chain;
use agent_core::machine::WithoutVolume;

use super::Needs::{self, Agent, Container, Reload};
use super::show::{Show, Size, list, mount, notify_format, port};
use crate::types::{
    AgentConfig, CollatorConfig, Config, Confinement, DataConfig, Ec2Config, ExporterConfig, HealthConfig, HostConfig,
    IdentityConfig, MetricsConfig, NotifyConfig, PullPolicy, RestartConfig, UpdateConfig,
};

/// One key with its value.
pub(super) struct Row {
    pub(super) key: String,
    pub(super) needs: Needs,
    /// The whole value, for comparison.
    pub(super) value: Option<String>,
    /// What is shown of it, where that is less.
    shown: Option<&'static str>,
}

impl Row {
    pub(super) fn into_shown(self) -> Option<String> {
        match self.shown {
            Some(shown) => self.value.map(|_| shown.to_owned()),
            None => self.value,
        }
    }
}

/// Every key of `config`, in the order of the printed default.
pub(super) fn table(config: &Config) -> Vec<Row> {
    let Config {
        agent,
        collator,
        data,
        mounts,
        chains,
        health,
        restart,
        host,
        metrics,
        notify,
        ec2,
        update,
        identity,
        signatures,
    } = config;
    let mut table = Table(Vec::new());
    agent_rows(&mut table, agent);
    collator_rows(&mut table, collator);
    let DataConfig { path, target } = data;
    table.add("data.path", Container, path);
    table.add("data.target", Container, target);
    table.add("mounts", Container, &list(mounts, mount));
    for (chain, exporter) in chains {
        chain_rows(&mut table, *chain, exporter);
    }
    health_rows(&mut table, health);
    restart_rows(&mut table, restart);
    let HostConfig {
        disk_warn_percent,
        disk_floor,
        clock_warn,
        memory_warn_percent,
    } = host;
    table.add("host.disk_warn_percent", Reload, disk_warn_percent);
    table.add("host.disk_floor", Reload, &Size(*disk_floor));
    table.add("host.clock_warn", Reload, clock_warn);
    table.add("host.memory_warn_percent", Reload, memory_warn_percent);
    let MetricsConfig { listen, hosts } = metrics;
    table.add("metrics.listen", Agent, &listen.map(|address| address.to_string()));
    table.add("metrics.hosts", Reload, hosts);
    let NotifyConfig {
        webhook,
        format,
        no_collation_after,
    } = notify;
    table.secret("notify.webhook", Reload, webhook.clone());
    table.add("notify.format", Reload, &notify_format(*format));
    table.add(
        "notify.no_collation_after",
        Reload,
        &no_collation_after.unwrap_or_default(),
    );
    ec2_rows(&mut table, ec2);
    update_rows(&mut table, update);
    identity_rows(&mut table, identity);
    table.part("signatures", Reload, &list(signatures, |row| format!("{row:?}")), "[…]");
    table.0
}

fn agent_rows(table: &mut Table, agent: &AgentConfig) {
    let AgentConfig {
        state_dir,
        socket,
        docker,
    } = agent;
    table.add("agent.state_dir", Agent, state_dir);
    table.add("agent.socket", Agent, socket);
    // Another engine has no such container.
    table.add("agent.docker", Container, docker);
}

fn collator_rows(table: &mut Table, collator: &CollatorConfig) {
    let CollatorConfig {
        image,
        container,
        entrypoint,
        command,
        pull,
        env,
        network,
        ports,
        user,
        stop_timeout,
        memory,
        nofile,
        log_max_size,
        log_max_files,
        registry_auth,
        cosign_key,
        confinement,
    } = collator;
    let Confinement {
        no_new_privileges,
        cap_add,
        pids_limit,
        read_only,
    } = confinement;
    let pull = match pull {
        PullPolicy::Always => "always",
        PullPolicy::Missing => "missing",
        PullPolicy::Never => "never",
    };
    table.add("collator.image", Container, image);
    table.add("collator.container", Container, container);
    table.add("collator.entrypoint", Container, entrypoint);
    table.add("collator.command", Container, command);
    table.add("collator.pull", Agent, pull);
    for (name, value) in env {
        table.add(&format!("collator.env.{name}"), Container, value);
    }
    table.add("collator.network", Container, network);
    table.add("collator.ports", Container, &list(ports, port));
    let user = user.map(|user| format!("{}:{}", user.uid, user.gid));
    table.add("collator.user", Container, &user);
    table.add("collator.stop_timeout", Container, stop_timeout);
    table.add("collator.memory", Container, &memory.map(Size));
    table.add("collator.nofile", Container, nofile);
    table.add("collator.log_max_size", Container, &Size(*log_max_size));
    table.add("collator.log_max_files", Container, log_max_files);
    table.add("collator.registry_auth", Agent, registry_auth);
    table.add("collator.cosign_key", Agent, cosign_key);
    table.add("collator.no_new_privileges", Container, no_new_privileges);
    table.add("collator.cap_add", Container, cap_add);
    table.add("collator.pids_limit", Container, &pids_limit.unwrap_or_default());
    table.add("collator.read_only", Container, read_only);
}

fn chain_rows(table: &mut Table, chain: Chain, exporter: &ExporterConfig) {
    let ExporterConfig {
        metrics,
        prefix,
        references,
        idle,
    } = exporter;
    let mut add = |key: &str, needs, value: &dyn Show| {
        table.add(&format!("chains.{}.{key}", chain.into_str()), needs, value);
    };
    // They belong to the ports and the arguments of a container.
    add("metrics", Agent, metrics);
    add("prefix", Agent, prefix);
    add("idle", Reload, &idle.expected.then(|| "expected".to_owned()));
    add("max_idle", Reload, &idle.max);
    let urls = (!references.is_empty()).then(|| list(references, ToString::to_string));
    table.secret(&format!("chains.{}.reference", chain.into_str()), Reload, urls);
}

fn health_rows(table: &mut Table, health: &HealthConfig) {
    let HealthConfig {
        scrape_interval,
        scrape_timeout,
        startup_grace,
        lag_blocks,
        stall_after,
        isolated_after,
        frozen_after,
        finality_after,
        activity_extension,
        activity_bytes,
    } = health;
    table.add("health.scrape_interval", Reload, scrape_interval);
    table.add("health.scrape_timeout", Reload, scrape_timeout);
    table.add("health.startup_grace", Reload, startup_grace);
    table.add("health.lag_blocks", Reload, lag_blocks);
    table.add("health.stall_after", Reload, stall_after);
    table.add("health.isolated_after", Reload, isolated_after);
    table.add("health.frozen_after", Reload, frozen_after);
    table.add("health.finality_after", Reload, finality_after);
    table.add("health.activity_extension", Reload, activity_extension);
    table.add("health.activity_bytes", Reload, &Size(*activity_bytes));
}

fn restart_rows(table: &mut Table, restart: &RestartConfig) {
    let RestartConfig {
        backoff_initial,
        backoff_max,
        backoff_reset,
        start_timeout,
        budget,
        budget_window,
    } = restart;
    table.add("restart.backoff_initial", Reload, backoff_initial);
    table.add("restart.backoff_max", Reload, backoff_max);
    table.add("restart.backoff_reset", Reload, backoff_reset);
    table.add("restart.start_timeout", Reload, start_timeout);
    table.add("restart.budget", Reload, budget);
    table.add("restart.budget_window", Reload, budget_window);
}

fn ec2_rows(table: &mut Table, ec2: &Ec2Config) {
    let Ec2Config {
        enabled,
        imds,
        lifecycle_hook,
    } = ec2;
    let enabled = enabled.map_or_else(|| "auto".to_owned(), |enabled| enabled.to_string());
    table.add("ec2.enabled", Agent, &enabled);
    table.add("ec2.imds", Agent, imds);
    table.add("ec2.lifecycle_hook", Agent, lifecycle_hook);
}

fn update_rows(table: &mut Table, update: &UpdateConfig) {
    let UpdateConfig {
        auto,
        check_every,
        probation,
        repositories,
        keep_images,
    } = update;
    table.add("update.probation", Reload, probation);
    table.add("update.auto", Reload, auto);
    table.add("update.check_every", Reload, check_every);
    table.add("update.repositories", Reload, repositories);
    table.add("update.keep_images", Reload, keep_images);
}

/// What runs depends on all of them where an identity is required.
fn identity_rows(table: &mut Table, identity: &IdentityConfig) {
    let IdentityConfig {
        required,
        volume,
        mount,
        without_volume,
    } = identity;
    let without_volume = match without_volume {
        WithoutVolume::Nothing => "nothing",
        WithoutVolume::FullNode => "full_node",
    };
    table.add("identity.required", Container, required);
    table.add("identity.volume", Container, volume);
    table.add("identity.mount", Container, mount);
    table.add("identity.without_volume", Container, without_volume);
}

struct Table(Vec<Row>);

impl Table {
    fn add(&mut self, key: &str, needs: Needs, value: &(impl Show + ?Sized)) {
        self.push(key, needs, value.show(), None);
    }

    fn secret(&mut self, key: &str, needs: Needs, value: Option<String>) {
        self.push(key, needs, value, Some("…"));
    }

    /// A key of whose value only `shown` is shown.
    fn part(&mut self, key: &str, needs: Needs, value: &str, shown: &'static str) {
        self.push(
            key,
            needs,
            Some(value.to_owned()),
            Some(shown).filter(|_| value != "[]"),
        );
    }

    fn push(&mut self, key: &str, needs: Needs, value: Option<String>, shown: Option<&'static str>) {
        self.0.push(Row {
            key: key.to_owned(),
            needs,
            value,
            shown,
        });
    }
}
