//! Commands carried out, and the control server that takes them.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::control::{Answer, Command, Cure, ScheduledCommand, Set};
use super::data::Remembered;
use super::model::Fault;
use super::process::{Shared, State, spawn};
use super::{Chain, log};
use crate::http_server::{self, Request, answer, converse};

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
    drop(state);
    if let Err(line) = shared.data.remember(&remembered).and_then(|()| shared.save()) {
        log::line(&line);
        return Some(1);
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
    let serve = async || -> io::Result<()> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                converse(stream, |request| {
                    let shared = Arc::clone(&shared);
                    async move {
                        // What is logged into a full pipe blocks.
                        tokio::task::spawn_blocking(move || control(&shared, &request))
                            .await
                            .map_err(io::Error::other)?
                    }
                })
                .await;
            });
        }
    };
    if let Err(e) = http_server::runtime().and_then(|runtime| runtime.block_on(serve())) {
        log::line(&format!("Error binding to control port {port}: {e}"));
    }
}

fn control(shared: &Arc<Shared>, request: &Request) -> http_server::Answer {
    match (request.method.as_str(), request.uri.path()) {
        ("GET", "/state") => answer(200, describe(shared)),
        ("POST", "/control") => match ScheduledCommand::parse(&request.text()) {
            Ok(ScheduledCommand { command, after, .. }) if after > Duration::ZERO => {
                let at = shared.began.elapsed() + after;
                shared.state().due.push((at, command));
                answer(200, describe(shared))
            }
            Ok(ScheduledCommand { command, .. }) => {
                if let Some(code) = apply(shared, command) {
                    // The answer is read before the process ends.
                    thread::spawn(move || {
                        thread::sleep(Duration::from_millis(50));
                        std::process::exit(code);
                    });
                }
                answer(200, describe(shared))
            }
            Err(e) => answer(400, format!("{e}\n")),
        },
        _ => answer(404, "GET /state or POST /control\n"),
    }
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
