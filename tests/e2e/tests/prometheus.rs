//! What a real Prometheus server kept of a node replays to what a trace of the same node does.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use t0rn_agent_tests::agent::binary;
use t0rn_agent_tests::http_client::get;
use t0rn_agent_tests::prometheus::Prometheus;
use t0rn_agent_tests::sim::Chain;
use t0rn_agent_tests::sim::control::{Command as ScheduledCommand, Cure};
use t0rn_agent_tests::sim_process::SimProcess;
use t0rn_agent_tests::skip;
use t0rn_agent_tests::wait;

const CONFIG: &str = r#"
[collator]
image = "a:b"
[health]
scrape_interval = "1s"
scrape_timeout = "1s"
startup_grace = "2m"
stall_after = "5s"
isolated_after = "5s"
frozen_after = "5s"
"#;

/// Reads both exporters every second, as an agent would, and writes a trace.
struct Recorder {
    good: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Recorder {
    fn start(ports: [u16; 2], trace: &Path) -> Result<Self> {
        let mut file = File::create(trace)?;
        let (good, failed, ended) = <(Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicBool>)>::default();
        let counts = (Arc::clone(&good), Arc::clone(&failed), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            let (good, failed, ended) = counts;
            while !ended.load(Ordering::Relaxed) {
                let mut all = true;
                for (chain, port) in ["parachain", "relaychain"].into_iter().zip(ports) {
                    let page = get(port, "/metrics").ok().filter(|(status, _)| *status == 200);
                    all &= page.is_some();
                    let t = SystemTime::UNIX_EPOCH.elapsed()?.as_secs_f64();
                    let line = match page {
                        Some((_, page)) => sample(t, chain, &page),
                        None => json!({"t": t, "event": "scrape_failed", "chain": chain, "error": "refused"}),
                    };
                    writeln!(file, "{line}")?;
                }
                if all { &good } else { &failed }.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_secs(1));
            }
            Ok(())
        });
        Ok(Self {
            good,
            failed,
            ended,
            thread: Some(thread),
        })
    }

    /// Waits for so many more seconds with both exporters answering.
    fn answered(&self, times: u64) -> Result<()> {
        more("looks that were answered", &self.good, times)
    }

    /// Waits for so many more seconds without an answer.
    fn unanswered(&self, times: u64) -> Result<()> {
        more("looks without an answer", &self.failed, times)
    }

    fn end(&mut self) -> Result<()> {
        self.ended.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(done)) => done,
            _ => anyhow::bail!("the recorder panicked"),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn more(what: &str, count: &AtomicU64, times: u64) -> Result<()> {
    let enough = count.load(Ordering::Relaxed) + times;
    let now = || Ok(count.load(Ordering::Relaxed));
    wait::until_value(what, Duration::from_mins(2), now, |n| *n >= enough)?;
    Ok(())
}

fn sample(t: f64, chain: &str, page: &str) -> Value {
    let number = |start: &str| {
        let line = page.lines().find(|line| line.starts_with(start))?;
        line.rsplit(' ').next()?.parse::<u64>().ok()
    };
    json!({
        "t": t, "event": "sample", "chain": chain,
        "best": number("substrate_block_height{status=\"best\""),
        "finalized": number("substrate_block_height{status=\"finalized\""),
        "target": number("substrate_block_height{status=\"sync_target\""),
        "peers": number("substrate_sub_libp2p_peers_count{"),
        "major_syncing": number("substrate_sub_libp2p_is_major_syncing{").map(|n| n == 1),
        "imported_total": number("substrate_import_queue_processed_total{result=\"success\""),
        "bytes_in": number("substrate_sub_libp2p_network_bytes_total{direction=\"in\""),
        "process_start": number("substrate_process_start_time_seconds{"),
    })
}

fn replay(args: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.arg("replay").args(args);
    wait::run(120, &mut command)
}

/// What is done to the container, with the cause, and the last phase.
fn decisions(output: &Output) -> Result<(Vec<String>, String)> {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{}: {out}{err}", output.status);
    let mut done = Vec::new();
    let mut phase = String::new();
    for line in out.lines() {
        let line: Value = serde_json::from_str(line)?;
        match line["action"].as_str() {
            Some("notify") => {}
            Some(action) => done.push(format!("{action} {}", line["cause"].as_str().unwrap_or_default())),
            None => line["phase"].as_str().unwrap_or_default().clone_into(&mut phase),
        }
    }
    Ok((done, phase))
}

/// The collator syncs, stalls, is restarted, is down, syncs on; then the server itself is away.
fn go_through_faults(sim: &mut SimProcess, server: &mut Prometheus, recorder: &Recorder) -> Result<()> {
    recorder.answered(8)?;

    // Long enough for one restart, too short for a second one with its doubled window.
    sim.sim().control(&ScheduledCommand::Stall {
        chain: Chain::Parachain,
        cure: Cure::Restart,
        bytes_per_second: 3072.0,
    })?;
    recorder.answered(9)?;
    sim.kill()?;
    sim.start_again()?;
    recorder.answered(6)?;

    sim.kill()?;
    recorder.unanswered(8)?;
    sim.start_again()?;
    recorder.answered(6)?;

    // While the server is away the chains go on: what it repeats of its last scrape is no standstill.
    server.stop()?;
    recorder.answered(10)?;
    server.start_again()?;
    recorder.answered(6)?;
    Ok(())
}

#[test]
fn what_a_server_kept_replays_as_the_trace_of_the_same_node_does() -> Result<()> {
    let Some(program) = Prometheus::program() else {
        skip!("no prometheus: tests/tools/setup prometheus gets it");
    };
    let dir = tempfile::tempdir()?;
    let (trace, config) = (dir.path().join("trace.jsonl"), dir.path().join("agent.toml"));
    fs::write(&config, CONFIG)?;
    let (trace, config) = (trace.display().to_string(), config.display().to_string());

    let flags = [
        "--sim-target",
        "100000",
        "--sim-speed",
        "50",
        "--sim-relay-target",
        "100",
    ];
    let network = ["--sim-block-time", "1000", "--sim-relay-block-time", "1000"];
    let mut sim = SimProcess::start(&[flags.as_slice(), network.as_slice()].concat())?;
    wait::until("both exporters", Duration::from_secs(20), || {
        sim.exporters()
            .into_iter()
            .try_for_each(|port| get(port, "/metrics").map(drop))
    })?;
    let mut server = Prometheus::start(program, &["collators", "others"], &sim.exporters())?;
    let mut recorder = Recorder::start(sim.exporters(), Path::new(&trace))?;
    go_through_faults(&mut sim, &mut server, &recorder)?;
    recorder.end()?;

    let direct = decisions(&replay(&[&trace, "--config", &config, "--json"])?)?;
    ensure!(
        direct
            == (
                vec!["restart stalled".to_owned(), "restart frozen".to_owned()],
                "syncing".to_owned()
            ),
        "{direct:?}"
    );
    let url = server.url();
    let ask = |more: &[&str]| {
        let args = [
            "--from-prometheus",
            &url,
            "--since",
            "10m",
            "--step",
            "1s",
            "--config",
            &config,
        ];
        replay(&[&args, more].concat())
    };
    let output = ask(&["--selector", "job=\"collators\"", "--json"])?;
    let kept = decisions(&output)?;
    ensure!(kept == direct, "{kept:?} from the server, {direct:?} from the trace");

    // Both jobs scrape the same node: which one is meant has to be said.
    let [parachain, relaychain] = sim.exporters().map(|port| format!("instance=\"127.0.0.1:{port}\""));
    let several = ask(&[])?;
    let said = String::from_utf8_lossy(&several.stderr);
    ensure!(
        several.status.code() == Some(1) && said.contains("several nodes match") && said.contains(&parachain),
        "{said}"
    );
    let both = |chain: &str| format!("{chain},job=\"others\"");
    let named = ask(&[
        "--parachain",
        &both(&parachain),
        "--relaychain",
        &both(&relaychain),
        "--json",
    ])?;
    ensure!(
        decisions(&named)? == direct,
        "{}",
        String::from_utf8_lossy(&named.stdout)
    );

    // Its own words, where it refuses.
    let wrong = ask(&["--selector", "job="])?;
    let said = String::from_utf8_lossy(&wrong.stderr);
    ensure!(
        wrong.status.code() == Some(1) && said.contains("refuses the question") && said.contains("parse error"),
        "{said}"
    );
    let exporter = format!("http://127.0.0.1:{}", sim.exporters()[0]);
    let stranger = replay(&["--from-prometheus", &exporter])?;
    let said = String::from_utf8_lossy(&stranger.stderr);
    ensure!(
        stranger.status.code() == Some(1) && said.contains("that is no Prometheus"),
        "{said}"
    );
    Ok(())
}
