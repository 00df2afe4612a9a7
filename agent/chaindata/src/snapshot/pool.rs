//! Pool of threads whose results come out in the order in which their inputs went in.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Bounds the memory that chunks take.
const MAX_THREADS: usize = 4;
/// Inputs whose results were not taken yet. With fewer, one slow thread would keep the others waiting.
const MAX_IN_FLIGHT: usize = 10;

/// Threads that do the same work on one input after the other, whichever is free.
pub(super) struct OrderedPool<I, O> {
    input: Sender<(u64, I)>,
    next: u64,
    /// One slot for each input in flight.
    slots: SyncSender<()>,
    results: Option<OrderedResults<O>>,
}

/// Results of an [`OrderedPool`].
pub(super) struct OrderedResults<O> {
    done: Receiver<(u64, O)>,
    /// Results before their turn.
    early: BTreeMap<u64, O>,
    next: u64,
    taken: Receiver<()>,
}

impl<I: Send + 'static, O: Send + 'static> OrderedPool<I, O> {
    /// `make` makes the function that one thread runs.
    pub(super) fn new<F: FnMut(I) -> O + Send + 'static>(make: impl Fn() -> io::Result<F>) -> io::Result<Self> {
        let (input, work) = channel::<(u64, I)>();
        let (output, done) = channel();
        let (slots, taken) = sync_channel(MAX_IN_FLIGHT);
        let work = Arc::new(Mutex::new(work));
        for number in 0..thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS) {
            let (work, output, mut each) = (Arc::clone(&work), output.clone(), make()?);
            let worker = thread::Builder::new().name(format!("chunks-{number}"));
            worker.spawn(move || {
                loop {
                    let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((turn, input)) = next else { return };
                    if output.send((turn, each(input))).is_err() {
                        return;
                    }
                }
            })?;
        }
        let results = Some(OrderedResults {
            done,
            early: BTreeMap::new(),
            next: 0,
            taken,
        });
        Ok(Self {
            input,
            next: 0,
            slots,
            results,
        })
    }

    /// The results; `None` when they were taken before.
    pub(super) fn results(&mut self) -> Option<OrderedResults<O>> {
        self.results.take()
    }

    /// Adds an input; waits while enough are in flight. `false` when the results were dropped.
    pub(super) fn put(&mut self, input: I) -> bool {
        let turn = self.next;
        self.next += 1;
        self.slots.send(()).is_ok() && self.input.send((turn, input)).is_ok()
    }
}

impl<O> OrderedResults<O> {
    /// The next result; `None` after the last.
    pub(super) fn next(&mut self) -> Option<O> {
        let turn = self.next;
        self.next += 1;
        let result = loop {
            if let Some(result) = self.early.remove(&turn) {
                break result;
            }
            let (at, result) = self.done.recv().ok()?;
            self.early.insert(at, result);
        };
        // Frees its slot.
        let _ = self.taken.try_recv();
        Some(result)
    }
}
