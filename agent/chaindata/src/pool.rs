//! Work on chunks by several threads; what comes out is in the order of what went in.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// More would take more than the memory that is promised.
const MOST: usize = 4;
/// Things that went in and did not come out yet. With fewer, one slow thread would keep the others waiting.
const UNDER_WAY: usize = 10;

/// Threads that do the same to one thing after the other, whichever is free.
pub(super) struct Pool<I, O> {
    input: Sender<(u64, I)>,
    next: u64,
    /// A place for each thing under way.
    places: SyncSender<()>,
    outputs: Option<Outputs<O>>,
}

/// The other end of a [`Pool`].
pub(super) struct Outputs<O> {
    done: Receiver<(u64, O)>,
    /// What came before its turn.
    early: BTreeMap<u64, O>,
    next: u64,
    taken: Receiver<()>,
}

impl<I: Send + 'static, O: Send + 'static> Pool<I, O> {
    /// `make` makes what a thread works with.
    pub(super) fn new<F: FnMut(I) -> O + Send + 'static>(make: impl Fn() -> io::Result<F>) -> io::Result<Self> {
        let (input, work) = channel::<(u64, I)>();
        let (output, done) = channel();
        let (places, taken) = sync_channel(UNDER_WAY);
        let work = Arc::new(Mutex::new(work));
        for number in 0..thread::available_parallelism().map_or(1, NonZero::get).min(MOST) {
            let (work, output, mut each) = (Arc::clone(&work), output.clone(), make()?);
            let worker = thread::Builder::new().name(format!("chunks-{number}"));
            worker.spawn(move || {
                loop {
                    let thing = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((turn, thing)) = thing else { return };
                    if output.send((turn, each(thing))).is_err() {
                        return;
                    }
                }
            })?;
        }
        let outputs = Some(Outputs {
            done,
            early: BTreeMap::new(),
            next: 0,
            taken,
        });
        Ok(Self {
            input,
            next: 0,
            places,
            outputs,
        })
    }

    /// Where the results come out, once.
    pub(super) fn outputs(&mut self) -> Option<Outputs<O>> {
        self.outputs.take()
    }

    /// Hands in one thing; waits while enough are under way. `false` when nobody takes the results any more.
    pub(super) fn put(&mut self, thing: I) -> bool {
        let turn = self.next;
        self.next += 1;
        self.places.send(()).is_ok() && self.input.send((turn, thing)).is_ok()
    }
}

impl<O> Outputs<O> {
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
        // Its place is free.
        let _ = self.taken.try_recv();
        Some(result)
    }
}
