//! Runs the core in virtual time: its deadlines, the outcomes of its actions, and the events that are hidden from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use agent_core::event::{Container, Event, Exit, Outcome, Sample, Time};
use agent_core::machine::{Action, Machine};
use agent_core::trace::Record;

use super::timeline::{Timeline, TraceTime};

/// How much earlier than the line before it a line may be, ms: observations are made at the same time and written one
/// after the other.
const JITTER: u64 = 10_000;
/// After more earlier lines in a row, the clock of the trace has restarted.
const MAX_BACKWARDS: u32 = 5;
/// Deadlines that fall due between two lines at most; more is a hole in the trace, which is skipped.
const MAX_TICKS: u32 = 10_000;
/// Steps without time passing at most; more is a deadline that does not move.
const MAX_STILL: u32 = 16;

/// What a replay read, and what the core did.
#[derive(Debug, Default)]
pub(crate) struct ReplaySummary {
    /// Lines read, without blank ones.
    pub(crate) lines: u64,
    pub(crate) skipped: u64,
    /// Place and reason of the first few of them.
    pub(super) problems: Vec<String>,
    /// What limits the judgement of this trace.
    pub(super) notes: Vec<String>,
    pub(super) span: Option<(Time, Time)>,
    pub(super) actions: BTreeMap<&'static str, u64>,
}

pub(super) struct Player<'a> {
    machine: Machine,
    timeline: Timeline<'a>,
    /// Virtual time: the trace's own plus `offset`; it never goes back.
    now: Time,
    offset: u64,
    began: Time,
    backwards: u32,
    /// Unix ms at virtual time 0, from the newest clock line.
    wall: Option<i64>,
    /// The newest of each chain.
    samples: [Option<Sample>; 2],
    /// The core started a container that the trace has not shown running since: until it does, failed scrapes mean nothing.
    presumed: bool,
    awaited: Awaited,
    /// The effects of a recorded action that this core did not take: container events are hidden until the action finished,
    /// and after that those before its end by Docker's clock.
    hidden: Hidden,
    actions: BTreeMap<&'static str, u64>,
}

/// The outcome that the core waits for.
enum Awaited {
    Nothing,
    /// The outcome of this action: the recorded one when the next line shows that the agent took the same action, else this
    /// one.
    Either(&'static str, Container),
    Recorded,
}

/// Which container events are hidden from the core.
enum Hidden {
    Nothing,
    UntilFinished,
    /// Unix ms.
    Before(i64),
}

impl<'a> Player<'a> {
    pub(super) fn new(machine: Machine, now: Time, timeline: Timeline<'a>) -> Self {
        Self {
            machine,
            timeline,
            now,
            offset: 0,
            began: now,
            backwards: 0,
            wall: None,
            samples: [None, None],
            presumed: false,
            awaited: Awaited::Nothing,
            hidden: Hidden::Nothing,
            actions: BTreeMap::new(),
        }
    }

    /// Plays one line; returns why it was not used, if so.
    pub(super) fn record(&mut self, at: Time, record: Record) -> io::Result<Option<String>> {
        let mut time = Time(at.0.saturating_add(self.offset));
        if time.0 + JITTER < self.now.0 {
            self.backwards += 1;
            let began_anew = self.backwards > MAX_BACKWARDS || matches!(record, Record::Clock { .. });
            if !began_anew {
                let (t, now) = (at.since(Time(0)), Time(self.now.0 - self.offset).since(Time(0)));
                return Ok(Some(format!(
                    "time runs backwards: {:.3} s after {:.3} s",
                    t.as_secs_f64(),
                    now.as_secs_f64()
                )));
            }
            self.offset = self.now.0.saturating_sub(at.0);
            self.wall = None;
            time = self.now;
            self.event(time, Event::Gap)?;
        }
        self.backwards = 0;
        time = time.max(self.now);

        match record {
            Record::Clock { unix_ms } => {
                self.wall = i64::try_from(time.0).ok().map(|ms| unix_ms.saturating_sub(ms));
            }
            Record::Action { action, .. } => {
                self.pass(time, true)?;
                match &self.awaited {
                    Awaited::Either(kind, _) if *kind == action => self.awaited = Awaited::Recorded,
                    _ if matches!(action.as_str(), "start" | "restart" | "stop" | "hold" | "backoff") => {
                        self.hidden = Hidden::UntilFinished;
                    }
                    _ => {}
                }
            }
            Record::Event(event) => self.event(time, event)?,
        }
        Ok(None)
    }

    fn event(&mut self, time: Time, event: Event) -> io::Result<()> {
        self.settle()?;
        self.presumed &= !matches!(
            event,
            Event::Sample { .. }
                | Event::Finished(_)
                | Event::Container(Container::Running { .. } | Container::Paused { .. })
        );
        let event = match event {
            Event::Gap => {
                // Nothing was observed, so nothing fell due; and the recording ended before its action did.
                if matches!(self.awaited, Awaited::Recorded) {
                    let container = Container::Running {
                        started_at: None,
                        spec_matches: true,
                    };
                    self.awaited = Awaited::Nothing;
                    self.step(self.now, Event::Finished(Outcome::Done { container, at: None }))?;
                    self.settle()?;
                }
                self.hidden = Hidden::Nothing;
                self.now = time;
                return self.step(time, Event::Gap);
            }
            Event::Finished(_) if matches!(self.awaited, Awaited::Recorded) => {
                self.awaited = Awaited::Nothing;
                event
            }
            // The outcome of an action that this core did not take: only the container's state counts.
            Event::Finished(outcome) => {
                if !matches!(self.hidden, Hidden::UntilFinished) {
                    return Ok(());
                }
                self.hidden = Hidden::Nothing;
                let Outcome::Done { container, at } = outcome else {
                    return Ok(());
                };
                self.hidden = at.map_or(Hidden::Nothing, Hidden::Before);
                Event::Container(container)
            }
            Event::Container(container) if self.hides(&container) => return Ok(()),
            Event::Sample { chain, ref sample } => {
                self.samples[chain as usize] = Some(sample.clone());
                event
            }
            Event::ScrapeFailed { .. } if self.presumed => Event::Tick,
            event => event,
        };
        self.pass(time, false)?;
        self.step(time, event)
    }

    fn hides(&self, container: &Container) -> bool {
        match (&self.hidden, container) {
            (Hidden::UntilFinished, _) => true,
            (
                Hidden::Before(done),
                Container::Exited { at, .. }
                | Container::Signalled { at, .. }
                | Container::Stopped { at }
                | Container::Removed { at },
            ) => at.is_some_and(|at| at <= *done),
            (Hidden::Before(done), Container::Running { started_at, .. }) => started_at.is_some_and(|at| at <= *done),
            (Hidden::Nothing | Hidden::Before(_), _) => false,
        }
    }

    /// Lets time pass until `until`, with every deadline of the core that falls due. `keep` leaves the
    /// last action's outcome open.
    fn pass(&mut self, until: Time, keep: bool) -> io::Result<()> {
        let mut still = 0;
        for _ in 0..MAX_TICKS {
            let Some(due) = self.machine.next_deadline().filter(|due| *due <= until) else {
                break;
            };
            still = if due > self.now { 0 } else { still + 1 };
            if still > MAX_STILL {
                break;
            }
            self.step(due.max(self.now), Event::Tick)?;
            if !keep {
                self.settle()?;
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Finishes the core's last action, unless the trace holds its outcome.
    fn settle(&mut self) -> io::Result<()> {
        for _ in 0..MAX_STILL {
            match std::mem::replace(&mut self.awaited, Awaited::Nothing) {
                Awaited::Either(_, container) => {
                    self.step(self.now, Event::Finished(Outcome::Done { container, at: None }))?;
                }
                other => {
                    self.awaited = other;
                    break;
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, time: Time, event: Event) -> io::Result<()> {
        self.now = time;
        let actions = self.machine.step(time, event);
        let at = self.trace_time();
        self.timeline
            .state(at, self.machine.phase(), self.machine.health(), &self.samples)?;
        for action in &actions {
            let name = action.kind();
            let after = match action {
                Action::Notify { over: true, .. }
                | Action::Judged { .. }
                | Action::ReleaseIdentity { .. }
                | Action::HoldIdentity
                | Action::AnswerLifecycle { .. } => continue,
                Action::Notify { .. } | Action::Pull { .. } | Action::Updated { .. } => None,
                Action::Start { .. } | Action::Restart { .. } => Some(Container::Running {
                    started_at: None,
                    spec_matches: true,
                }),
                Action::Stop { .. } | Action::StopWithin { .. } | Action::Hold { .. } | Action::Backoff { .. } => {
                    Some(Container::Exited {
                        at: None,
                        exit: Exit::default(),
                        spec_matches: true,
                    })
                }
            };
            *self.actions.entry(name).or_default() += 1;
            let text = self.machine.explain(action.cause());
            self.timeline.action(at, name, action.cause().into_str(), Some(&text))?;
            let Some(after) = after else { continue };
            self.presumed = matches!(action, Action::Start { .. });
            self.awaited = Awaited::Either(name, after);
        }
        Ok(())
    }

    fn trace_time(&self) -> TraceTime {
        let wall = |base: i64| i64::try_from(self.now.0).ok().and_then(|ms| base.checked_add(ms));
        TraceTime {
            trace_ms: self.now.0.saturating_sub(self.offset),
            unix_ms: self.wall.and_then(wall),
        }
    }

    pub(super) fn close(mut self, summary: &mut ReplaySummary) -> io::Result<()> {
        self.settle()?;
        let seconds = self.now.since(self.began).as_secs();
        let mut text = format!(
            "{}:{:02}:{:02} replayed",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        );
        for (index, (name, count)) in self.actions.iter().enumerate() {
            let separator = if index == 0 { ':' } else { ',' };
            // Writing to a String cannot fail.
            let _ = write!(text, "{separator} {count} {name}");
        }
        if self.actions.is_empty() {
            text += ": nothing to do";
        }
        self.timeline.close(&text)?;
        summary.span = Some((self.began, self.now));
        summary.actions = self.actions;
        Ok(())
    }
}
