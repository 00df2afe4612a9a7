//! The agent's own exporter, from outside: what Prometheus sees of health, a fault and its cure; and what clients
//! without manners cannot do.

use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command as Program, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use t0rn_agent_tests::agent::{Agent, SYNCING};
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::http_client::get;
use t0rn_agent_tests::prometheus::Prometheus;
use t0rn_agent_tests::repository::tool;
use t0rn_agent_tests::sim::Chain;
use t0rn_agent_tests::sim::control::{Command, Cure, Silence};
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait::{self, LATER, SOON};

/// Far below what 200 clients can ask for, above what the agent needs.
const MOST_MEMORY: u64 = 16 << 20;
const CLIENTS: usize = 200;

/// The value of a series, by its name and labels as they stand on the page; `None` where there is none.
fn value(agent: &Agent<'_>, series: &str) -> Result<Option<f64>> {
    let (status, page) = get(agent.metrics_port(), "/metrics")?;
    ensure!(status == 200, "{status}: {page}");
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    Ok(line.map(str::parse).transpose()?)
}

fn wait_value(agent: &Agent<'_>, series: &str, timeout: Duration, good: impl Fn(f64) -> bool) -> Result<f64> {
    wait::until(series, timeout, || {
        let value = value(agent, series)?.context("no such series")?;
        ensure!(good(value), "it is {value}");
        Ok(value)
    })
}

/// Counts and states are whole numbers.
fn is(expected: f64) -> impl Fn(f64) -> bool {
    move |value| (value - expected).abs() < 0.5
}

fn wait_status(agent: &Agent<'_>, path: &str, expected: u16) -> Result<String> {
    wait::until(&format!("{expected} from {path}"), SOON, || {
        let (status, words) = get(agent.metrics_port(), path)?;
        ensure!(status == expected && words.lines().count() == 1, "{status}: {words}");
        Ok(words)
    })
}

#[test]
fn health_a_fault_and_its_cure_are_seen_by_whoever_scrapes() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "scraped", &SYNCING)?;
    wait_value(&agent, "t0rn_agent_health{state=\"ok\"}", SOON, is(1.0))?;
    wait_value(&agent, "t0rn_agent_chain_best_height{chain=\"parachain\"}", SOON, |v| {
        v > 0.0
    })?;
    // Until its second height is seen it waits for the relay chain.
    wait_value(&agent, "t0rn_agent_phase{phase=\"syncing\"}", SOON, is(1.0))?;
    for (series, expected) in [
        ("t0rn_agent_container_running", Some(1.0)),
        ("t0rn_agent_docker_reachable", Some(1.0)),
        ("t0rn_agent_restarts_total{cause=\"frozen\"}", Some(0.0)),
        ("t0rn_agent_container_restart_seconds", None),
        ("t0rn_agent_last_incident_helped{cause=\"frozen\"}", None),
    ] {
        ensure!(
            value(&agent, series)? == expected,
            "{series}: {:?}",
            value(&agent, series)?
        );
    }
    wait_status(&agent, "/readyz", 200)?;

    let run = agent.run_id()?;
    agent.sim().control(&Command::Freeze { mode: Silence::Hang })?;
    wait_value(&agent, "t0rn_agent_health{state=\"critical\"}", SOON, is(1.0))?;
    wait_status(&agent, "/healthz", 200)?;
    agent.wait_other_run(&run, SOON)?;
    wait_value(&agent, "t0rn_agent_restarts_total{cause=\"frozen\"}", SOON, is(1.0))?;
    wait_value(&agent, "t0rn_agent_incidents_total{cause=\"frozen\"}", SOON, is(1.0))?;
    wait_value(&agent, "t0rn_agent_container_restart_seconds", SOON, |v| {
        v > 0.0 && v < 30.0
    })?;
    wait_value(
        &agent,
        "t0rn_agent_last_incident_helped{cause=\"frozen\"}",
        SOON,
        is(1.0),
    )?;
    wait_value(&agent, "t0rn_agent_health{state=\"ok\"}", SOON, is(1.0))?;
    let timeouts = value(
        &agent,
        "t0rn_agent_scrapes_total{chain=\"parachain\",result=\"timeout\"}",
    )?;
    ensure!(timeouts.is_some_and(|n| n > 0.0), "{timeouts:?}");

    agent.ok(["stop"])?;
    agent.wait_down(SOON)?;
    wait_value(&agent, "t0rn_agent_container_running", SOON, is(0.0))?;
    let words = wait_status(&agent, "/readyz", 503)?;
    ensure!(words.contains("does not run"), "{words}");
    Ok(())
}

#[test]
fn a_crash_that_docker_mends_is_a_restart_too() -> Result<()> {
    let engine = Engine::shared()?;
    // On a busy machine the simulator may be silent for seconds, and a restart for that would take the crash's place.
    let mut agent = Agent::new(&engine, "mended", &[])?;
    agent.set("health.frozen_after", "1m")?;
    agent.start()?;
    agent.wait_watched()?;
    let run = agent.run_id()?;
    agent.sim().control(&Command::crash(101))?;
    agent.wait_other_run(&run, SOON)?;
    wait_value(&agent, "t0rn_agent_restarts_total{cause=\"exited\"}", SOON, is(1.0))?;
    wait_value(&agent, "t0rn_agent_container_restart_seconds", SOON, |v| {
        v > 0.0 && v < 10.0
    })?;
    Ok(())
}

#[test]
fn a_real_prometheus_server_takes_the_page_and_keeps_the_fault() -> Result<()> {
    let (Some(server), Some(promtool)) = (Prometheus::program(), tool("promtool")) else {
        skip!("there is no prometheus with its promtool; tests/tools/setup prometheus gets them");
    };
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "server", &SYNCING)?;
    let prometheus = Prometheus::start(server, &["t0rn-agent"], &[agent.metrics_port()])?;
    let asked = |query: &str, good: &dyn Fn(f64) -> bool| {
        wait::until(query, SOON, || {
            let value = prometheus.query(query)?.context("no value")?;
            ensure!(good(value), "it is {value}");
            Ok(())
        })
    };
    asked("up{job=\"t0rn-agent\"}", &is(1.0))?;
    asked("t0rn_agent_health{state=\"ok\"}", &is(1.0))?;

    agent.sim().control(&Command::crash(101))?;
    asked("increase(t0rn_agent_restarts_total{cause=\"exited\"}[10m])", &|v| {
        v > 0.0
    })?;
    asked("max_over_time(t0rn_agent_container_restart_seconds[10m])", &|v| v > 0.0)?;
    asked("min_over_time(up{job=\"t0rn-agent\"}[10m])", &is(1.0))?;

    let (_, page) = get(agent.metrics_port(), "/metrics")?;
    let mut check = Program::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    check.stdin.take().context("no stdin")?.write_all(page.as_bytes())?;
    let said = check.wait_with_output()?;
    ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    Ok(())
}

#[test]
fn two_hundred_bad_clients_delay_neither_a_cure_nor_prometheus() -> Result<()> {
    let engine = Engine::shared()?;
    let agent = Agent::running(&engine, "crowd", &SYNCING)?;
    let run = agent.run_id()?;
    let (port, over) = (agent.metrics_port(), AtomicBool::new(false));
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            let mut crowd: Vec<_> = (0..CLIENTS).map(|n| ill_mannered(port, n)).collect();
            while !over.load(Ordering::Relaxed) {
                for (n, client) in crowd.iter_mut().enumerate() {
                    if client.as_ref().map_or(true, is_served) {
                        *client = ill_mannered(port, n);
                    }
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let outcome = cured_meanwhile(&agent, &run);
        over.store(true, Ordering::Relaxed);
        outcome
    });
    outcome?;
    let peak = agent.peak_memory()?;
    ensure!(peak < MOST_MEMORY, "{peak} bytes");
    Ok(())
}

fn cured_meanwhile(agent: &Agent<'_>, run: &t0rn_agent_tests::agent::ContainerRun) -> Result<()> {
    agent.sim().control(&Command::Stall {
        chain: Chain::Parachain,
        cure: Cure::Restart,
        bytes_per_second: 3072.0,
    })?;
    agent.wait_other_run(run, LATER)?;
    agent.wait_cured("stalled", SOON)?;
    wait_status(agent, "/healthz", 200)?;
    wait_value(agent, "t0rn_agent_restarts_total{cause=\"stalled\"}", SOON, is(1.0))?;
    Ok(())
}

/// A client that says nothing, or half of something, or asks and takes nothing.
fn ill_mannered(port: u16, n: usize) -> Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), Duration::from_secs(1))?;
    let words = ["", "GET /metrics HT", "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"][n % 3];
    stream.write_all(words.as_bytes())?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Whether it was answered or dropped.
fn is_served(stream: &TcpStream) -> bool {
    !matches!(stream.peek(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock)
}

#[test]
fn a_port_that_is_taken_is_told_and_does_not_keep_the_agent_from_its_work() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "taken", &[])?;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, agent.metrics_port()))?;
    agent.start()?;
    agent.wait_watched()?;
    let log = agent.log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("metrics.listen")).collect();
    ensure!(warnings.len() == 1 && warnings[0].contains("WARN"), "{warnings:?}");
    drop(taken);
    wait::until("the port", LATER, || get(agent.metrics_port(), "/healthz"))?;
    ensure!(agent.end(Signal::TERM)? == 0);
    Ok(())
}

#[test]
fn the_loop_comes_round_also_while_nothing_happens() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "slow", &[])?;
    for (key, value) in [("scrape_interval", "5m"), ("scrape_timeout", "3s")] {
        agent.set(&format!("health.{key}"), value)?;
    }
    for window in ["stall_after", "isolated_after", "frozen_after", "startup_grace"] {
        agent.set(&format!("health.{window}"), "1h")?;
    }
    agent.start()?;
    wait_value(&agent, "t0rn_agent_container_running", SOON, is(1.0))?;
    wait::throughout("the loop comes round", Duration::from_secs(40), || {
        let age = value(&agent, "t0rn_agent_loop_age_seconds")?.context("no such series")?;
        ensure!(age < 25.0, "it has not come round for {age} s");
        Ok(())
    })
}

#[test]
fn without_an_address_nothing_listens() -> Result<()> {
    let engine = Engine::shared()?;
    let mut agent = Agent::new(&engine, "off", &[])?;
    agent.set("metrics.listen", "")?;
    agent.start()?;
    agent.wait_watched()?;
    ensure!(get(agent.metrics_port(), "/healthz").is_err());
    Ok(())
}
