//! Measures what the agent promises in figures, prints each beside its goal, and fails when one is missed.
//!
//! `BENCH_ROUNDS`: deaths of each container (20). `BENCH_MINUTES`: how long to watch the agent (3). Run it through
//! `tests/tools/with-engine.sh`; `T0RN_AGENT_BIN` and `T0RN_SIM_BIN` name the static binaries.

#![expect(clippy::print_stdout, reason = "its output is a table")]

mod snapshots;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{Advice, fadvise};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use t0rn_agent_tests::agent::{Agent, binary};
use t0rn_agent_tests::ec2::Ec2Emulator;
use t0rn_agent_tests::engine::Engine;
use t0rn_agent_tests::field;
use t0rn_agent_tests::sim_container::SimContainer;

/// Docker's pauses between its restarts grow until a container has run for ten seconds.
const DOCKER_FORGETS: Duration = Duration::from_secs(11);
const REPLAYED: u32 = 1_000_000;
/// Cases of each kind from the field, where `FIELD_SEEDS` does not say.
const FIELD_SEEDS: u64 = 20;

fn main() -> Result<ExitCode> {
    let table = measure(setting("BENCH_ROUNDS", 20)?, setting("BENCH_MINUTES", 3)?)?;
    println!("\n{:<58} {:>12}   goal", "figure", "measured");
    for line in &table {
        let measured = format!("{:.3} {}", line.measured, line.unit);
        let goal = line
            .goal
            .map_or_else(String::new, |goal| format!("≤ {goal} {}", line.unit));
        let missed = if line.missed() { "   MISSED" } else { "" };
        println!("{:<58} {measured:>12}   {goal}{missed}", line.figure);
    }
    Ok(ExitCode::from(u8::from(table.iter().any(Line::missed))))
}

fn measure(rounds: u32, minutes: u32) -> Result<Vec<Line>> {
    let pause = Pause::until_interrupted()?;
    let mut table = vec![size()?, field_cases()];
    table.extend(replay()?);
    table.extend(snapshots::measure()?);

    let engine = Engine::shared()?;
    let plain = SimContainer::run(&engine, &["--restart", "unless-stopped"], &[])?;
    let mut agent = Agent::new(&engine, "bench", &[])?;
    // The windows of the tests are short; what is promised is promised for the defaults.
    agent.unset("health")?;
    agent.unset("restart")?;
    // An instance of a group, as the agent is meant to run on.
    let ec2 = Ec2Emulator::start()?;
    ec2.set("instance-life-cycle", "on-demand");
    agent.set("ec2.enabled", "auto")?;
    agent.set("ec2.imds", ec2.url())?;
    forget_pages(&binary()?)?;
    agent.start()?;
    agent.wait_watched()?;
    table.extend(restarts(&engine, &plain, &agent, rounds, &pause)?);
    table.extend(footprint(&agent, minutes, &pause)?);
    agent.discard_log()?;
    Ok(table)
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

fn size() -> Result<Line> {
    Ok(Line::new(
        "static binary",
        mib(fs::metadata(binary()?)?.len()),
        "MiB",
        10.0,
    ))
}

/// The judgement of the cases from the field, beside that of other policies.
fn field_cases() -> Line {
    let table = field::table::judge(field::seeds(FIELD_SEEDS), "", true);
    println!("{table}");
    let wrong: usize = table.rows.iter().map(|row| row.wrong.len()).sum();
    let wrong = u32::try_from(wrong).unwrap_or(u32::MAX);
    Line::new("cases from the field judged wrongly", wrong.into(), "", 0.0)
}

/// A trace of [`REPLAYED`] samples through the pure core.
fn replay() -> Result<[Line; 2]> {
    println!("replaying {REPLAYED} samples");
    let trace = tempfile::NamedTempFile::new()?;
    let mut out = BufWriter::new(trace.reopen()?);
    writeln!(out, "{}", json!({"t": 0, "event": "container", "state": "running"}))?;
    for n in 0..REPLAYED / 2 {
        for (chain, rate) in [("parachain", 3), ("relaychain", 5)] {
            let sample = json!({
                "t": 1 + 5 * n, "event": "sample", "chain": chain, "best": rate * n, "finalized": rate * n,
                "target": rate * n + 100, "peers": 12, "major_syncing": true,
                "imported_total": rate * n, "bytes_in": 100_000 * u64::from(n), "process_start": 1_795_388_136,
            });
            writeln!(out, "{sample}")?;
        }
    }
    out.flush()?;

    let (took, peak) = watch(Command::new(binary()?).arg("replay").arg(trace.path()))?;
    Ok([
        Line::new(format!("replay of {REPLAYED} samples"), took.as_secs_f64(), "s", 2.0),
        Line::new("  its peak resident memory", mib(peak), "MiB", None),
    ])
}

/// Runs a command to its end. Returns how long it took and its peak resident memory in bytes.
fn watch(command: &mut Command) -> Result<(Duration, u64)> {
    let began = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut peak = 0;
    let status = loop {
        // The high-water mark only rises: the last look before the end has nearly all of it.
        peak = memory(child.id(), "VmHWM").unwrap_or(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let took = began.elapsed();
    ensure!(status.success(), "{command:?}: {status}");
    Ok((took, peak))
}

/// Kills both containers in turn and takes Docker's own time stamps of each death and the next start.
fn restarts(engine: &Engine, plain: &SimContainer, agent: &Agent, rounds: u32, pause: &Pause) -> Result<[Line; 3]> {
    println!(
        "{rounds} deaths of each container, in turn, {} s apart",
        DOCKER_FORGETS.as_secs()
    );
    let events = Events::follow(engine)?;
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        pause.sleep(DOCKER_FORGETS)?;
        // So many deaths in a row are a crash loop, which the agent slows down; an operator's start forgets them.
        agent.ok(["start"])?;
        for (container, took) in [plain.name(), agent.container()].into_iter().zip(&mut took) {
            let inspect = engine.inspect(container)?.context("the container is gone")?;
            let pid = inspect["State"]["Pid"].as_i64().context("no pid")?;
            let pid = Pid::from_raw(i32::try_from(pid)?).context("it does not run")?;
            kill_process(pid, Signal::KILL)?;
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

/// Takes a program out of the page cache, as after a boot. What a build has just written lies there in large pieces, which
/// would all count as resident.
fn forget_pages(program: &Path) -> Result<()> {
    let file = fs::File::open(program)?;
    file.sync_all()?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}

/// What the agent itself costs while it scrapes two full pages every 5 s.
fn footprint(agent: &Agent, minutes: u32, pause: &Pause) -> Result<[Line; 3]> {
    println!("watching the agent for {minutes} min");
    let pid = agent.pid()?;
    let before = processor_seconds(pid)?;
    let began = Instant::now();
    pause.sleep(Duration::from_mins(minutes.into()))?;
    let share = 100.0 * (processor_seconds(pid)? - before) / began.elapsed().as_secs_f64();
    Ok([
        Line::new(
            format!("resident memory after {minutes} min"),
            megabytes(memory(pid, "VmRSS")?),
            "MB",
            9.0,
        ),
        Line::new("  its peak", megabytes(memory(pid, "VmHWM")?), "MB", None),
        Line::new("share of a core", share, "%", 0.05),
    ])
}

/// What Docker says happens to its containers, with its own clock.
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
    fn follow(engine: &Engine) -> Result<Self> {
        let mut stream = engine
            .command()
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
                .with_context(|| format!("{container}: no {action} within a minute"))?;
            if let Some(nanoseconds) = line.strip_prefix(&wanted) {
                return Ok(Duration::from_nanos(nanoseconds.parse()?).as_secs_f64());
            }
        }
    }
}

/// Sleeps that Ctrl-C ends as an error, so that everything is removed on the way out.
struct Pause(Arc<AtomicBool>);

impl Pause {
    fn until_interrupted() -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        Ok(Self(interrupted))
    }

    fn sleep(&self, duration: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < duration {
            ensure!(!self.0.load(Ordering::Relaxed), "interrupted");
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
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
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "sizes here are far below 2^52 bytes")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
