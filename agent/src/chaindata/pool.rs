//! Work on chunks by several threads; what comes out is in the order of what went in.

use std::io;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// More would take more than the memory that is promised.
const MOST: usize = 4;

/// Threads that do the same to one thing after the other. What is in the pool is bounded: a thing and a result a thread.
pub(super) struct Pool<I, O> {
    inputs: Vec<SyncSender<I>>,
    next: usize,
    outputs: Option<Outputs<O>>,
}

/// The other end of a [`Pool`].
pub(super) struct Outputs<O> {
    receivers: Vec<Receiver<O>>,
    next: usize,
}

impl<I: Send + 'static, O: Send + 'static> Pool<I, O> {
    /// `make` makes what a thread works with.
    pub(super) fn new<F: FnMut(I) -> O + Send + 'static>(make: impl Fn() -> io::Result<F>) -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, NonZero::get).min(MOST);
        let (mut inputs, mut receivers) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (input, work) = sync_channel::<I>(1);
            let (done, output) = sync_channel(1);
            let mut each = make()?;
            let worker = thread::Builder::new().name(format!("chunks-{number}"));
            worker.spawn(move || {
                while let Ok(thing) = work.recv() {
                    if done.send(each(thing)).is_err() {
                        return;
                    }
                }
            })?;
            inputs.push(input);
            receivers.push(output);
        }
        let outputs = Some(Outputs { receivers, next: 0 });
        Ok(Self {
            inputs,
            next: 0,
            outputs,
        })
    }

    /// Where the results come out, once.
    pub(super) fn outputs(&mut self) -> Option<Outputs<O>> {
        self.outputs.take()
    }

    /// Hands one thing to the next thread; waits while that has enough. `false` when nobody takes the results any more.
    pub(super) fn put(&mut self, thing: I) -> bool {
        let at = self.next;
        self.next = (at + 1) % self.inputs.len();
        self.inputs[at].send(thing).is_ok()
    }
}

impl<O> Outputs<O> {
    /// The next result; `None` after the last.
    pub(super) fn next(&mut self) -> Option<O> {
        let at = self.next;
        self.next = (at + 1) % self.receivers.len();
        self.receivers[at].recv().ok()
    }
}
