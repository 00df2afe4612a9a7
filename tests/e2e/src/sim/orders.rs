//! Commands carried out, and the control server that takes them.

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::control::{Answer, Command, Cure, Order, Set};
use super::data::Remembered;
use super::model::Fault;
use super::process::{Shared, State, spawn};
use super::{Chain, exporter, http, log};

/// Carries out every command whose time has come.
pub(super) fn apply_due(shared: &Arc<Shared>) {
    let now = shared.began.elapsed();
    let ready: Vec<Command> = {
        let mut state = shared.state();
        let (ready, later) = std::mem::take(&mut state.due)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        state.due = later;
        Vec::into_iter(ready).map(|(_, command)| command).collect()
    };
    for command in ready {
        if let Some(code) = apply(shared, command) {
            std::process::exit(code);
        }
    }
}

/// Does what is asked. Returns the exit code when that is to end.
fn apply(shared: &Arc<Shared>, command: Command) -> Option<i32> {
    // Writing to a full pipe blocks, so it happens before the lock is taken.
    match &command {
        Command::Crash { code, log } => {
            log::lines(log);
            return Some(*code);
        }
        Command::Log { lines, bytes } => {
            log::lines(lines);
            if *bytes > 0 {
                log::line(&"x".repeat(*bytes));
            }
            return None;
        }
        _ => {}
    }
    let mut state = shared.state();
    let now = shared.began.elapsed();
    state.model.advance(now);
    match command {
        Command::Crash { .. } | Command::Log { .. } => {}
        Command::Freeze { mode } => {
            state.frozen = Some(mode);
            state.model.frozen = true;
        }
        Command::Stall {
            chain,
            cure,
            bytes_per_second,
        } => {
            set_fault(&mut state, &[chain], Fault::Stalled { bytes_per_second }, cure);
        }
        Command::Isolate { cure } => set_fault(&mut state, &Chain::BOTH, Fault::Isolated, cure),
        Command::Halt { chain } => state.model.chains[chain.index()].halt(true, now),
        Command::Exporter { chain, answer } => state.answers[chain.index()] = answer,
        Command::Sigterm { obey } => state.obey = obey,
        Command::Eat { bytes_per_second } => drop(thread::spawn(move || eat(bytes_per_second))),
        Command::Burn { percent } => {
            if shared.burn.swap(percent.min(100), Ordering::Relaxed) == 0 && percent > 0 {
                spawn(shared, |shared| burn(shared));
            }
        }
        Command::FailStarts(fail) => state.remembered.fail_starts = Some(fail),
        Command::Set(set) => change(&mut state, &set, now),
        Command::Recover => {
            state.frozen = None;
            state.model.frozen = false;
            state.answers = [Answer::Ok; 2];
            state.obey = true;
            state.remembered = Remembered::default();
            for chain in &mut state.model.chains {
                chain.fault = Fault::None;
                chain.target_bias = 0;
                chain.halt(false, now);
            }
            shared.burn.store(0, Ordering::Relaxed);
        }
    }
    let remembered = state.remembered.clone();
    let refusing = Chain::BOTH
        .into_iter()
        .filter(|c| state.answer(*c) == Answer::Refuse)
        .collect::<Vec<_>>();
    drop(state);
    if let Err(line) = shared.data.remember(&remembered).and_then(|()| shared.save()) {
        log::line(&line);
        return Some(1);
    }
    shared.changed.notify_all();
    for chain in refusing {
        exporter::wake(shared.ports[chain.index()]);
    }
    None
}

fn set_fault(state: &mut State, chains: &[Chain], fault: Fault, cure: Cure) {
    for chain in chains {
        state.model.chains[chain.index()].fault = fault;
        if cure == Cure::Never {
            state.remembered.chains[chain.index()] = fault;
        }
    }
}

fn change(state: &mut State, set: &Set, now: Duration) {
    for chain in Chain::BOTH
        .into_iter()
        .filter(|c| set.chain.is_none_or(|only| only == *c))
    {
        let model = &mut state.model.chains[chain.index()];
        if let Some(speed) = set.speed {
            model.args.speed = speed;
        }
        if let Some(target) = set.target {
            model.set_target(target, now);
        }
        if let Some(millis) = set.block_time_ms {
            model.set_block_time(Duration::from_millis(millis), now);
        }
        if let Some(bias) = set.target_bias {
            model.target_bias = bias;
        }
    }
    if let Some(peers) = set.peers {
        state.model.peers = peers;
    }
    if let Some(millis) = set.stop_delay_ms {
        state.stop_delay = Duration::from_millis(millis);
    }
    if let Some(collates) = set.collates {
        state.model.chains[Chain::Parachain.index()].collates = collates;
    }
}

/// Takes commands until the process ends.
pub(super) fn serve_control(shared: &Arc<Shared>, port: u16) {
    let listener = match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
        Ok(listener) => listener,
        Err(e) => return log::line(&format!("Error binding to control port {port}: {e}")),
    };
    for stream in listener.incoming().flatten() {
        if let Some(code) = control(shared, stream).unwrap_or_default() {
            std::process::exit(code);
        }
    }
}

/// Answers one connection. Returns the exit code when a command is to end the process.
fn control(shared: &Arc<Shared>, mut stream: TcpStream) -> io::Result<Option<i32>> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let Some(request) = http::read_request(&mut stream)? else {
        return Ok(None);
    };
    let mut code = None;
    let (status, body) = match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/state") => (200, describe(shared)),
        ("POST", "/control") => match Order::parse(&request.body) {
            Ok(Order { command, after, .. }) if after > Duration::ZERO => {
                let at = shared.began.elapsed() + after;
                shared.state().due.push((at, command));
                (200, describe(shared))
            }
            Ok(Order { command, .. }) => {
                code = apply(shared, command);
                (200, describe(shared))
            }
            Err(e) => (400, format!("{e}\n")),
        },
        _ => (404, "GET /state or POST /control\n".to_owned()),
    };
    http::answer(&mut stream, status, body.as_bytes())?;
    // The answer is read before the process ends.
    stream.shutdown(Shutdown::Write)?;
    let _ = stream.read(&mut [0; 16]);
    Ok(code)
}

fn describe(shared: &Shared) -> String {
    let [parachain, relaychain] = Chain::BOTH.map(|chain| shared.view(chain));
    let state = shared.state();
    json!({
        "starts": shared.starts, "parachain": parachain, "relaychain": relaychain, "frozen": state.frozen,
        "obeys_sigterm": state.obey, "remembered": state.remembered,
    })
    .to_string()
}

/// Takes memory, and touches it, until the kernel ends the process.
fn eat(bytes_per_second: usize) {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; bytes_per_second / 20]);
        std::hint::black_box(&eaten);
        thread::sleep(Duration::from_millis(50));
    }
}

fn burn(shared: &Shared) {
    loop {
        let percent = shared.burn.load(Ordering::Relaxed);
        if percent == 0 {
            return;
        }
        let busy = Duration::from_micros(500 * u64::from(percent));
        let began = Instant::now();
        while began.elapsed() < busy {
            std::hint::spin_loop();
        }
        thread::sleep(Duration::from_millis(50).saturating_sub(busy));
    }
}
