//! Measures what the agent promises in figures, prints each beside its goal, and fails when one is missed.
//!
//! usage: `bench DIRECTORY`, the directory of the static binaries `t0rn-agent` and `sim-collator`.
//! `BENCH_ROUNDS`: deaths of each container (20). `BENCH_MINUTES`: how long to watch the agent (3).
//! Needs a Docker engine.

#![expect(clippy::print_stdout, reason = "its output is a table")]

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

const IMAGE: &str = "t0rn-bench-collator";
const PLAIN: &str = "t0rn-bench-plain";
const SUPERVISED: &str = "t0rn-bench-supervised";
/// Docker's pauses between its restarts grow until a container ran for ten seconds.
const DOCKER_FORGETS: Duration = Duration::from_secs(11);
const REPLAYED: u32 = 1_000_000;

fn main() -> Result<()> {
    let binaries = env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .context("usage: bench DIRECTORY")?;
    let mut table = vec![size(&binaries)?];
    table.extend(replay(&binaries)?);
    let bench = Bench::start(&binaries)?;
    table.extend(bench.restarts(setting("BENCH_ROUNDS", 20)?)?);
    table.extend(bench.footprint(Duration::from_secs(60 * u64::from(setting("BENCH_MINUTES", 3)?)))?);
    drop(bench);

    println!("\n{:<60} {:>14}   goal", "figure", "measured");
    for line in &table {
        let measured = format!("{:.3} {}", line.measured, line.unit);
        let goal = line
            .goal
            .map(|goal| format!("≤ {goal} {}", line.unit))
            .unwrap_or_default();
        println!(
            "{:<60} {measured:>14}   {goal}{}",
            line.figure,
            if line.missed() { "   MISSED" } else { "" }
        );
    }
    ensure!(!table.iter().any(Line::missed), "a goal was missed");
    Ok(())
}

/// One row of the table; without a goal it is there to compare with.
struct Line {
    figure: String,
    measured: f64,
    unit: &'static str,
    goal: Option<f64>,
}

impl Line {
    fn new(figure: impl Into<String>, measured: f64, unit: &'static str, goal: impl Into<Option<f64>>) -> Self {
        Self {
            figure: figure.into(),
            measured,
            unit,
            goal: goal.into(),
        }
    }

    fn missed(&self) -> bool {
        self.goal.is_some_and(|goal| self.measured > goal)
    }
}

fn size(binaries: &Path) -> Result<Line> {
    let bytes = fs::metadata(binaries.join("t0rn-agent"))
        .context("t0rn-agent; make build")?
        .len();
    Ok(Line::new("static binary", mib(bytes), "MiB", 10.0))
}

/// A trace of [`REPLAYED`] samples through the pure core.
fn replay(binaries: &Path) -> Result<[Line; 2]> {
    println!("replaying {REPLAYED} samples");
    let work = tempfile::tempdir()?;
    let trace = work.path().join("trace.jsonl");
    let mut out = BufWriter::new(File::create(&trace)?);
    writeln!(out, "{}", json!({"t": 0, "event": "container", "state": "running"}))?;
    for n in 0..REPLAYED / 2 {
        for (chain, rate) in [("parachain", 3), ("relaychain", 5)] {
            writeln!(
                out,
                "{}",
                json!({"t": 1 + 5 * n, "event": "sample", "chain": chain, "best": rate * n, "finalized": rate * n,
                    "target": rate * n + 100, "peers": 12, "major_syncing": true, "queued_blocks": 0,
                    "imported_total": rate * n, "bytes_in": 100_000 * u64::from(n), "process_start": 1_795_388_136})
            )?;
        }
    }
    out.into_inner()?.sync_all()?;

    let began = Instant::now();
    let mut replay = Command::new(binaries.join("t0rn-agent"))
        .arg("replay")
        .arg(&trace)
        .stdout(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        // The high-water mark only rises, so the last look before the end has nearly all of it.
        peak = memory(replay.id(), "VmHWM").unwrap_or(peak);
        if let Some(status) = replay.try_wait()? {
            break status;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let took = began.elapsed();
    ensure!(status.success(), "t0rn-agent replay failed: {status}");
    Ok([
        Line::new(format!("replay of {REPLAYED} samples"), took.as_secs_f64(), "s", 2.0),
        Line::new("  its peak resident memory", mib(peak), "MiB", None),
    ])
}

/// Two containers of one image, one of them under an agent. Everything goes when it goes.
struct Bench {
    binary: PathBuf,
    daemon: Child,
    work: TempDir,
    interrupted: Arc<AtomicBool>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The agent first: it would bring its container back.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        remove_all();
    }
}

impl Bench {
    fn start(binaries: &Path) -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        // Left behind where an earlier run was killed.
        remove_all();
        let work = tempfile::tempdir()?;
        import_image(binaries, work.path())?;
        let [plain, supervised] = [free_ports()?, free_ports()?];
        let [para, relay] = plain.map(|(host, port)| format!("127.0.0.1:{host}:{port}"));
        docker(&[
            "create",
            "--name",
            PLAIN,
            "--restart",
            "unless-stopped",
            "-p",
            &para,
            "-p",
            &relay,
            IMAGE,
        ])?;
        docker(&["start", PLAIN])?;

        let config = work.path().join("agent.toml");
        fs::write(&config, configuration(work.path(), supervised))?;
        let log = File::create(work.path().join("agent.log"))?;
        let binary = binaries.join("t0rn-agent");
        let daemon = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(&binary)
            .arg("--config")
            .args([&config])
            .arg("run")
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()?;
        let bench = Self {
            binary,
            daemon,
            work,
            interrupted,
        };
        bench.until("the agent watches a syncing collator", || {
            let phase = bench.status()?["phase"].clone();
            Ok(phase == "syncing" || phase == "synced")
        })?;
        Ok(bench)
    }

    /// Kills each container in turn and takes Docker's own time stamps of its death and its next start.
    fn restarts(&self, rounds: u32) -> Result<[Line; 3]> {
        println!(
            "{rounds} deaths of each container, in turn, {} s apart",
            DOCKER_FORGETS.as_secs()
        );
        let events = Events::follow()?;
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            self.sleep(DOCKER_FORGETS)?;
            for (container, took) in [PLAIN, SUPERVISED].into_iter().zip(&mut took) {
                let pid = docker(&["inspect", "-f", "{{.State.Pid}}", container])?;
                run(Command::new("kill").args(["-9", &pid]))?;
                let died = events.next(container, "die")?;
                took.push(events.next(container, "start")? - died);
            }
        }
        let [plain, supervised] = took.map(median);
        Ok([
            Line::new(
                "death to running, Docker's unless-stopped alone (median)",
                plain,
                "s",
                None,
            ),
            Line::new("death to running, under the agent (median)", supervised, "s", None),
            Line::new("  ratio", supervised / plain, "x", 1.1),
        ])
    }

    /// What the agent itself costs while it scrapes two full pages every 5 s.
    fn footprint(&self, duration: Duration) -> Result<[Line; 3]> {
        println!("watching the agent for {} min", duration.as_secs() / 60);
        let pid = self.daemon.id();
        let before = processor_seconds(pid)?;
        let began = Instant::now();
        self.sleep(duration)?;
        let used = processor_seconds(pid)? - before;
        let share = 100.0 * used / began.elapsed().as_secs_f64();
        Ok([
            Line::new(
                format!("resident memory after {} min", duration.as_secs() / 60),
                mib(memory(pid, "VmRSS")?),
                "MiB",
                8.0,
            ),
            Line::new("  its peak", mib(memory(pid, "VmHWM")?), "MiB", None),
            Line::new("share of a core", share, "%", 0.05),
        ])
    }

    fn status(&self) -> Result<Value> {
        let socket = self.work.path().join("agent.sock");
        let out = Command::new(&self.binary)
            .arg("--socket")
            .arg(socket)
            .args(["status", "--json"])
            .output()?;
        Ok(serde_json::from_slice(&out.stdout).unwrap_or(Value::Null))
    }

    fn until(&self, promise: &str, mut kept: impl FnMut() -> Result<bool>) -> Result<()> {
        let began = Instant::now();
        while !kept()? {
            ensure!(
                began.elapsed() < Duration::from_mins(1),
                "{promise}: not within 60 s; {}",
                self.last_words()
            );
            self.sleep(Duration::from_millis(300))?;
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.work.path().join("agent.log")).unwrap_or_default();
        let from = log.lines().count().saturating_sub(10);
        log.lines().skip(from).collect::<Vec<_>>().join("\n")
    }

    fn sleep(&self, duration: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < duration {
            ensure!(!self.interrupted.load(Ordering::Relaxed), "interrupted");
            thread::sleep(Duration::from_millis(100).min(duration));
        }
        Ok(())
    }
}

/// What Docker says happened to the two containers, with its own clock.
struct Events {
    stream: Child,
    lines: Receiver<String>,
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.stream.kill();
        let _ = self.stream.wait();
    }
}

impl Events {
    fn follow() -> Result<Self> {
        let mut stream = Command::new("docker")
            .args(["events", "--filter", "event=die", "--filter", "event=start"])
            .args(["--format", "{{.Actor.Attributes.name}} {{.Action}} {{.TimeNano}}"])
            .stdout(Stdio::piped())
            .spawn()?;
        let out = BufReader::new(stream.stdout.take().context("docker events: no output")?);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Ok(Self { stream, lines })
    }

    /// When `action` next happens to `container`, in seconds of Docker's clock.
    fn next(&self, container: &str, action: &str) -> Result<f64> {
        let wanted = format!("{container} {action} ");
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let line = self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
                .with_context(|| format!("{container}: no {action} within 60 s"))?;
            if let Some(nanoseconds) = line.strip_prefix(&wanted) {
                return Ok(Duration::from_nanos(nanoseconds.parse()?).as_secs_f64());
            }
        }
    }
}

fn configuration(work: &Path, [parachain, relaychain]: [(u16, u16); 2]) -> String {
    let docker = env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let docker = docker.trim_start_matches("unix://");
    let work = work.display();
    format!(
        r#"
[agent]
state_dir = "{work}/state"
socket = "{work}/agent.sock"
docker = "{docker}"
[collator]
image = "{IMAGE}"
pull = "never"
container = "{SUPERVISED}"
command = ["--base-path", "/node/data"]
ports = ["127.0.0.1:{}:{}/tcp", "127.0.0.1:{}:{}/tcp"]
[data]
path = "{work}/data"
target = "/node/data"
[chains.parachain]
metrics = "http://127.0.0.1:{}/metrics"
[chains.relaychain]
metrics = "http://127.0.0.1:{}/metrics"
[health]
scrape_interval = "5s"
[metrics]
listen = ""
"#,
        parachain.0, parachain.1, relaychain.0, relaychain.1, parachain.0, relaychain.0
    )
}

/// An image FROM scratch with the simulated collator in it.
fn import_image(binaries: &Path, work: &Path) -> Result<()> {
    let archive = work.join("image.tar");
    run(Command::new("tar")
        .arg("-C")
        .arg(binaries)
        .arg("-cf")
        .arg(&archive)
        .arg("sim-collator"))?;
    let archive = archive.display().to_string();
    docker(&[
        "import",
        "-c",
        r#"ENTRYPOINT ["/sim-collator"]"#,
        "-c",
        "WORKDIR /node",
        &archive,
        IMAGE,
    ])?;
    Ok(())
}

fn remove_all() {
    let _ = docker(&["rm", "-fv", PLAIN, SUPERVISED]);
    let _ = docker(&["image", "rm", "-f", IMAGE]);
}

fn docker(args: &[&str]) -> Result<String> {
    run(Command::new("docker").args(args))
}

/// Runs a command to its end and returns what it printed, without the last line break.
fn run(command: &mut Command) -> Result<String> {
    let out = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{command:?}"))?;
    ensure!(
        out.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// A free host port for each of the two exporters' ports.
fn free_ports() -> Result<[(u16, u16); 2]> {
    // Held together, so that they differ.
    let held = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    Ok([
        (held[0].local_addr()?.port(), 7001),
        (held[1].local_addr()?.port(), 9616),
    ])
}

/// A line of `/proc/PID/status` that is given in kB, in bytes.
fn memory(pid: u32, key: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
    let kilobytes = line.with_context(|| format!("{key}: not in /proc/{pid}/status"))?;
    Ok(1024 * kilobytes.trim_end_matches("kB").trim().parse::<u64>()?)
}

/// User and system time of a process, from ticks of which Linux shows 100 a second.
fn processor_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field, a name in brackets, may hold anything.
    let fields = stat.rsplit_once(") ").context("/proc/PID/stat: no name")?.1;
    let ticks = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|f| Ok(f.parse::<u32>()?))
        .sum::<Result<u32>>()?;
    Ok(f64::from(ticks) / 100.0)
}

fn setting(name: &str, default: u32) -> Result<u32> {
    env::var(name).map_or(Ok(default), |text| {
        text.parse().with_context(|| format!("{name}={text}: not a number"))
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes here are far below 2^52 bytes")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
