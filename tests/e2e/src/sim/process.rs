//! The process: threads around one shared state, and the end of it all.

use std::process::ExitCode;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::args::{Args, HELP};
use super::control::{Answer, Command, FailStarts, Silence};
use super::data::{Data, Remembered, unix_millis};
use super::model::{Model, View};
use super::page::Page;
use super::{Chain, control_server, exporter, log};

const TICK: Duration = Duration::from_millis(100);
const SAVE: Duration = Duration::from_secs(1);
const INFORM: Duration = Duration::from_secs(5);

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) began: Instant,
    pub(super) starts: u64,
    pub(super) data: Data,
    state: Mutex<State>,
    /// Percent of one core to use up.
    pub(super) burn: AtomicU8,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) model: Model,
    pub(super) answers: [Answer; 2],
    pub(super) frozen: Option<Silence>,
    pub(super) obey: bool,
    pub(super) stop_delay: Duration,
    pub(super) remembered: Remembered,
    /// Commands and the time since the start at which they are due.
    pub(super) due: Vec<(Duration, Command)>,
}

impl State {
    pub(super) fn answer(&self, chain: Chain) -> Answer {
        match self.frozen {
            Some(Silence::Hang) => Answer::Hang,
            Some(Silence::Refuse) => Answer::Refuse,
            None => self.answers[chain.index()],
        }
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn answer(&self, chain: Chain) -> Answer {
        self.state().answer(chain)
    }

    pub(super) fn view(&self, chain: Chain) -> View {
        let mut state = self.state();
        state.model.advance(self.began.elapsed());
        state.model.view(chain)
    }

    pub(super) fn save(&self) -> Result<(), String> {
        let saved = {
            let mut state = self.state();
            state.model.advance(self.began.elapsed());
            Chain::BOTH.map(|chain| state.model.saved(chain))
        };
        Chain::BOTH
            .into_iter()
            .try_for_each(|chain| self.data.save_height(chain, saved[chain.index()]))
    }
}

/// Runs until it is stopped, or crashes when told to.
pub fn run(line: impl IntoIterator<Item = String>) -> ExitCode {
    let line: Vec<String> = line.into_iter().collect();
    if line.iter().any(|word| word == "--help" || word == "-h") {
        log::raw(HELP.as_bytes());
        return ExitCode::SUCCESS;
    }
    let args = match Args::parse(line) {
        Ok(args) => args,
        Err(e) => {
            log::raw(format!("error: {e}\n\nFor more information, try '--help'.\n").as_bytes());
            return ExitCode::from(2);
        }
    };
    match start(&args) {
        // The threads end the process.
        Ok(shared) => tick(&shared),
        Err((line, code)) => {
            log::line(&line);
            std::process::exit(code);
        }
    }
}

/// Opens the directory and starts every thread.
fn start(args: &Args) -> Result<Arc<Shared>, (String, i32)> {
    let failed = |line| (line, 1);
    // Before anything else: a first process of a container ignores a signal without a handler.
    let signals = Signals::new([SIGTERM, SIGINT]).map_err(|e| failed(format!("Error: signals: {e}")))?;
    let data = Data::open(&args.base_path).map_err(failed)?;
    let starts = data.count_start().map_err(failed)?;
    if let Some(version) = args.db_version {
        data.migrate(version).map_err(failed)?;
    }
    log::banner(args, starts);
    let mut remembered = data.remembered();
    fail_start(&data, &mut remembered)?;

    let (saved, away) = data.heights().map_err(failed)?;
    let mut model = Model::new(args.chains, saved, away, Duration::ZERO);
    model.relay_first = args.relay_first;
    model.peers = args.peers;
    for chain in Chain::BOTH {
        model.chains[chain.index()].fault = remembered.chains[chain.index()];
    }
    let due = args
        .faults
        .iter()
        .filter(|o| !o.once || starts == 1)
        .map(|o| (o.after, o.command.clone()))
        .collect();
    let shared = Arc::new(Shared {
        began: Instant::now(),
        starts,
        data,
        state: Mutex::new(State {
            model,
            answers: [Answer::Ok; 2],
            frozen: None,
            obey: true,
            stop_delay: args.stop_delay,
            remembered,
            due,
        }),
        burn: AtomicU8::new(0),
    });
    // Faults that are due at once must be there before the exporters answer.
    control_server::apply_due(&shared);

    spawn(&shared, move |shared| obey_signals(shared, signals));
    if args.control_port != 0 {
        let port = args.control_port;
        spawn(&shared, move |shared| control_server::serve_control(shared, port));
    }
    let process_start = unix_millis() / 1000;
    for (chain, port) in Chain::BOTH.into_iter().zip(args.ports) {
        let page = Page::new(chain, &args.prefix, &args.name, args.collator, process_start);
        let delay = args.start_delay;
        spawn(&shared, move |shared| {
            thread::sleep(delay);
            exporter::serve(shared, chain, port, page);
        });
    }
    Ok(shared)
}

/// Ends this start when it was asked to fail.
fn fail_start(data: &Data, remembered: &mut Remembered) -> Result<(), (String, i32)> {
    let Some(FailStarts { count, code, log }) = &mut remembered.fail_starts else {
        return Ok(());
    };
    if *count == Some(0) {
        return Ok(());
    }
    *count = count.map(|n| n - 1);
    let (last, before) = log
        .split_last()
        .map_or(("Error: simulated failure to start", &[][..]), |(l, b)| (l.as_str(), b));
    log::lines(before);
    let end = (last.to_owned(), *code);
    data.remember(remembered).map_err(|line| (line, 1))?;
    Err(end)
}

pub(super) fn spawn(shared: &Arc<Shared>, work: impl FnOnce(&Arc<Shared>) + Send + 'static) {
    let shared = Arc::clone(shared);
    thread::spawn(move || work(&shared));
}

/// Advances the model, saves, informs, and applies what is due.
fn tick(shared: &Arc<Shared>) -> ! {
    let mut saved = Duration::ZERO;
    let mut informed = Duration::ZERO;
    let mut before = Chain::BOTH.map(|chain| shared.view(chain));
    loop {
        thread::sleep(TICK);
        control_server::apply_due(shared);
        let now = shared.began.elapsed();
        let frozen = {
            let mut state = shared.state();
            state.model.advance(now);
            state.frozen.is_some()
        };
        if frozen {
            continue;
        }
        if now.saturating_sub(saved) >= SAVE {
            saved = now;
            if let Err(line) = shared.save() {
                log::line(&line);
                std::process::exit(1);
            }
        }
        let since = now.saturating_sub(informed);
        if since >= INFORM {
            informed = now;
            for chain in Chain::BOTH {
                let view = shared.view(chain);
                let rate = |new: u64, old: u64| {
                    f64::from(u32::try_from(new.saturating_sub(old)).unwrap_or(u32::MAX)) / since.as_secs_f64()
                };
                let old = before[chain.index()];
                let (down, up) = (rate(view.bytes_in, old.bytes_in), rate(view.bytes_out, old.bytes_out));
                log::informant(chain, &view, rate(view.best, old.best), down, up);
                before[chain.index()] = view;
            }
        }
    }
}

fn obey_signals(shared: &Arc<Shared>, mut signals: Signals) {
    for _ in signals.forever() {
        let (obey, delay) = {
            let state = shared.state();
            (state.obey, state.stop_delay)
        };
        if !obey {
            continue;
        }
        log::line("[Parachain] Essential task `txpool-background` failed. Shutting down service.");
        thread::sleep(delay);
        let code = shared.save().map_or_else(
            |line| {
                log::line(&line);
                1
            },
            |()| 0,
        );
        std::process::exit(code);
    }
}
