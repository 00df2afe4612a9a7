//! Messages that wait for delivery, at a limited rate: many problems at once become a few messages. Pure: time comes in as a
//! parameter, the next deadline goes out as a value.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::message::NotificationMessage;
use crate::machine::{Cause, Health};

/// Messages about one cause: so many at once, then one each time this has passed.
const PER_CAUSE: (u32, Duration) = (4, Duration::from_mins(5));
/// All messages. The services take one a second, and twenty a minute into one group.
const ALTOGETHER: (u32, Duration) = (5, Duration::from_secs(5));
/// Messages about one cause that wait; a further one takes the place of the last.
const WAITING: usize = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    pub message: NotificationMessage,
    /// Messages about the same that this one stands for besides itself.
    pub more: u64,
}

/// Messages in the order in which they came, at most `WAITING` about one cause. Those about a cause that has become critical
/// overtake the others.
#[derive(Debug)]
pub struct RateLimitedQueue {
    messages: VecDeque<QueuedMessage>,
    all: TokenBucket,
    causes: BTreeMap<Option<Cause>, TokenBucket>,
}

impl RateLimitedQueue {
    pub fn new(now: Instant) -> Self {
        Self {
            messages: VecDeque::new(),
            all: TokenBucket::full(now, ALTOGETHER),
            causes: BTreeMap::new(),
        }
    }

    /// Takes in a message. The newest is never lost: it says how things stand now.
    pub fn push(&mut self, message: NotificationMessage) {
        let same = |queued: &&mut QueuedMessage| queued.message.cause == message.cause;
        let waiting = self
            .messages
            .iter()
            .filter(|l| l.message.cause == message.cause)
            .count();
        match self.messages.iter_mut().rev().find(same) {
            Some(last) if waiting >= WAITING => {
                last.more += 1;
                last.message = message;
            }
            _ => self.messages.push_back(QueuedMessage { message, more: 0 }),
        }
    }

    /// The next message that may be sent now.
    pub fn next(&mut self, now: Instant) -> Option<QueuedMessage> {
        let is_ready = |queued: &QueuedMessage| self.ready(queued) <= now;
        // Messages about one cause stay in their order: the later one says how things stand now.
        let urgent = |queued: &QueuedMessage| is_ready(queued) && self.is_critical(queued.message.cause);
        let first = self.messages.iter().position(urgent);
        let first = first.or_else(|| self.messages.iter().position(is_ready))?;
        let queued = self.messages.remove(first)?;
        self.all.take(now);
        let bucket = self.causes.entry(queued.message.cause);
        bucket.or_insert_with(|| TokenBucket::full(now, PER_CAUSE)).take(now);
        self.causes.retain(|_, bucket| !bucket.is_full(now));
        Some(queued)
    }

    /// When [`RateLimitedQueue::next`] has something, if nothing else happens; it may have passed already.
    pub fn deadline(&self) -> Option<Instant> {
        self.messages.iter().map(|queued| self.ready(queued)).min()
    }

    /// Everything that waits, whether it may be sent or not.
    pub fn drain(&mut self) -> impl Iterator<Item = QueuedMessage> {
        let critical: Vec<bool> = self
            .messages
            .iter()
            .map(|queued| self.is_critical(queued.message.cause))
            .collect();
        let mut all: Vec<_> = critical.into_iter().zip(self.messages.drain(..)).collect();
        all.sort_by_key(|(is_critical, _)| !is_critical);
        all.into_iter().map(|(_, queued)| queued)
    }

    /// Whether a message about this cause waits that is critical.
    fn is_critical(&self, cause: Option<Cause>) -> bool {
        let mut about = self.messages.iter().filter(|queued| queued.message.cause == cause);
        about.any(|queued| queued.message.severity == Some(Health::Critical))
    }

    /// From when on a message may be sent.
    fn ready(&self, queued: &QueuedMessage) -> Instant {
        let bucket = self.causes.get(&queued.message.cause);
        bucket.map_or(self.all.ready, |bucket| bucket.ready.max(self.all.ready))
    }
}

/// A token bucket, as the time at which it would be full again.
#[derive(Debug)]
struct TokenBucket {
    full_at: Instant,
    /// From when on there is a token.
    ready: Instant,
    burst: u32,
    each: Duration,
}

impl TokenBucket {
    fn full(now: Instant, (burst, each): (u32, Duration)) -> Self {
        Self {
            full_at: now,
            ready: now,
            burst,
            each,
        }
    }

    fn take(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.each;
        let spare = self.each * (self.burst - 1);
        self.ready = self.full_at.checked_sub(spare).map_or(now, |at| at.max(now));
    }

    fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}
