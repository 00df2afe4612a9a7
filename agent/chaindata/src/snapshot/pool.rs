//! Pool of threads whose results come out in the order in which their inputs went in.

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
    /// Each input, and where its result goes.
    work: Sender<(I, SyncSender<O>)>,
    order: SyncSender<Receiver<O>>,
}

pub(super) struct OrderedResults<O>(Receiver<Receiver<O>>);

/// A pool, and its results. `make` makes the function that one thread runs.
pub(super) fn ordered_pool<I, O, F>(
    make: impl Fn() -> io::Result<F>,
) -> io::Result<(OrderedPool<I, O>, OrderedResults<O>)>
where
    I: Send + 'static,
    O: Send + 'static,
    F: FnMut(I) -> O + Send + 'static,
{
    let (work, queue) = channel::<(I, SyncSender<O>)>();
    let queue = Arc::new(Mutex::new(queue));
    for number in 0..thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS) {
        let (queue, mut each) = (Arc::clone(&queue), make()?);
        let worker = thread::Builder::new().name(format!("chunks-{number}"));
        worker.spawn(move || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((input, result)) = next else { return };
                // No receiver waits for it where the results were dropped.
                let _ = result.send(each(input));
            }
        })?;
    }
    let (order, results) = sync_channel(MAX_IN_FLIGHT);
    Ok((OrderedPool { work, order }, OrderedResults(results)))
}

impl<I, O> OrderedPool<I, O> {
    /// Adds an input; waits while enough are in flight. `false` when the results were dropped.
    pub(super) fn put(&self, input: I) -> bool {
        let (done, result) = sync_channel(1);
        self.order.send(result).is_ok() && self.work.send((input, done)).is_ok()
    }
}

impl<O> Iterator for OrderedResults<O> {
    type Item = O;

    fn next(&mut self) -> Option<O> {
        self.0.recv().ok()?.recv().ok()
    }
}
