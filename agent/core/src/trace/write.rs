//! Writes events as lines.

use std::io::{self, Write};

use super::line::{EventName, OutcomeName, StateName, TraceLine};
use crate::event::{Command, Container, Event, Outcome, Reading, ReferenceError, Time};

/// Writes one event as a line, `t` in seconds; a [`Event::Tick`] leaves no line.
pub fn write_line(out: &mut impl Write, time: Time, event: &Event) -> io::Result<()> {
    let line = match event {
        Event::Tick => return Ok(()),
        Event::Gap => TraceLine::new(time, EventName::Gap),
        Event::Container(c) => TraceLine {
            event: EventName::Container,
            ..container_line(time, c)
        },
        Event::Sample { chain, sample } => TraceLine {
            chain: Some(*chain),
            best: sample.best,
            finalized: sample.finalized,
            target: sample.target,
            peers: sample.peers,
            major_syncing: sample.major_syncing,
            imported_total: sample.imported_total,
            built_total: sample.built_total,
            bytes_in: sample.bytes_in,
            process_start: sample.process_start,
            ..TraceLine::new(time, EventName::Sample)
        },
        Event::ScrapeFailed { chain, error } => TraceLine {
            chain: Some(*chain),
            error: Some(error.into_str().to_owned()),
            ..TraceLine::new(time, EventName::ScrapeFailed)
        },
        Event::Host(h) => TraceLine {
            disk_free_bytes: h.disk_free_bytes,
            disk_total_bytes: h.disk_total_bytes,
            memory_available_bytes: h.memory_available_bytes,
            memory_full_percent: h.memory_full_percent,
            io_full_percent: h.io_full_percent,
            load1: h.load1,
            network_ok: h.network_ok,
            clock_offset_ms: h.clock_offset_ms,
            ..TraceLine::new(time, EventName::Host)
        },
        Event::Activity(a) => TraceLine {
            cpu_percent: a.cpu_percent,
            block_read_bytes: a.block_read_bytes,
            block_write_bytes: a.block_write_bytes,
            ..TraceLine::new(time, EventName::Activity)
        },
        Event::Log(lines) => TraceLine {
            log: Some(lines.clone()),
            ..TraceLine::new(time, EventName::Log)
        },
        Event::Reference { chain, source, reading } => TraceLine {
            chain: Some(*chain),
            source: u64::try_from(*source).ok(),
            ..reading_line(time, *reading)
        },
        Event::Certificate(conflict) => TraceLine {
            cause: conflict.map(|conflict| conflict.into_str().to_owned()),
            ..TraceLine::new(time, EventName::Certificate)
        },
        Event::CertificateUnreadable(error) => TraceLine {
            error: Some(error.clone()),
            ..TraceLine::new(time, EventName::CertificateUnreadable)
        },
        Event::Shared(with) => reason_line(time, EventName::Shared, with.as_ref()),
        Event::Altered(what) => reason_line(time, EventName::Altered, what.as_ref()),
        Event::Docker { reachable } => TraceLine {
            state: Some(if *reachable {
                StateName::Reachable
            } else {
                StateName::Unreachable
            }),
            ..TraceLine::new(time, EventName::Docker)
        },
        Event::Ec2(notice) => TraceLine {
            notice: notice.map(|notice| notice.kind),
            seconds: notice.and_then(|notice| notice.seconds),
            ..TraceLine::new(time, EventName::Ec2)
        },
        Event::Identity(identity) => TraceLine {
            cause: Some(identity.holding.into_str().to_owned()),
            reason: Some(identity.why.clone()).filter(|why| !why.is_empty()),
            ..TraceLine::new(time, EventName::Identity)
        },
        Event::IdentityReleased => TraceLine::new(time, EventName::IdentityReleased),
        Event::StateUnsaved(_)
        | Event::StateSetAside(_)
        | Event::RecordsUnsaved(_)
        | Event::DisksStalled(_)
        | Event::ClockStepped { .. }
        | Event::Configuration { .. }
        | Event::ConfigurationRefused(_) => own_line(time, event),
        Event::Operator(command) => operator_line(time, command),
        Event::Pulled(result) => TraceLine {
            images: result.as_ref().ok().cloned(),
            error: result.as_ref().err().map(|error| error.0.clone()),
            ..TraceLine::new(time, EventName::Pulled)
        },
        Event::Databases(versions) => TraceLine {
            versions: Some(versions.clone()),
            ..TraceLine::new(time, EventName::Databases)
        },
        Event::Finished(outcome) => outcome_line(time, outcome),
    };
    line.write(out)
}

fn reason_line(time: Time, name: EventName, reason: Option<&String>) -> TraceLine {
    TraceLine {
        reason: reason.cloned(),
        ..TraceLine::new(time, name)
    }
}

/// What the agent finds of its own disks and clock, and its configuration.
fn own_line(time: Time, event: &Event) -> TraceLine {
    match event {
        Event::DisksStalled(disks) => TraceLine {
            disks: Some(disks.clone()),
            ..TraceLine::new(time, EventName::DisksStalled)
        },
        Event::ClockStepped { by_ms } => TraceLine {
            by_ms: Some(*by_ms),
            ..TraceLine::new(time, EventName::ClockStepped)
        },
        Event::Configuration { policy, references } => TraceLine {
            policy: Some(policy.clone()),
            chains: Some(references.clone()),
            ..TraceLine::new(time, EventName::Configuration)
        },
        Event::StateUnsaved(error) => TraceLine {
            error: error.clone(),
            ..TraceLine::new(time, EventName::StateUnsaved)
        },
        Event::StateSetAside(why) => TraceLine {
            error: Some(why.clone()),
            ..TraceLine::new(time, EventName::StateSetAside)
        },
        Event::RecordsUnsaved(error) => TraceLine {
            error: error.clone(),
            ..TraceLine::new(time, EventName::RecordsUnsaved)
        },
        Event::ConfigurationRefused(error) => TraceLine {
            error: error.clone(),
            ..TraceLine::new(time, EventName::ConfigurationRefused)
        },
        _ => TraceLine::new(time, EventName::Gap),
    }
}

/// Writes the wall clock of that moment, so that times can be shown; the core never sees it.
pub fn write_clock(out: &mut impl Write, time: Time, unix_ms: i64) -> io::Result<()> {
    TraceLine {
        unix_ms: Some(unix_ms),
        ..TraceLine::new(time, EventName::Clock)
    }
    .write(out)
}

/// Writes what the agent did: `action` and `cause` as `replay` prints them; `helped` of an action that was judged.
pub fn write_action(
    out: &mut impl Write,
    time: Time,
    action: &str,
    cause: &str,
    helped: Option<bool>,
) -> io::Result<()> {
    TraceLine {
        action: Some(action.to_owned()),
        cause: Some(cause.to_owned()),
        helped,
        ..TraceLine::new(time, EventName::Action)
    }
    .write(out)
}

fn container_line(time: Time, container: &Container) -> TraceLine {
    let mut line = TraceLine::new(time, EventName::Container);
    let (state, spec_matches) = match container {
        Container::Missing => (StateName::Missing, None),
        Container::Foreign => (StateName::Foreign, None),
        Container::Created { spec_matches } => (StateName::Created, Some(*spec_matches)),
        Container::Running {
            started_at,
            spec_matches,
        } => {
            line.started_at = *started_at;
            (StateName::Running, Some(*spec_matches))
        }
        Container::Paused {
            started_at,
            spec_matches,
        } => {
            line.started_at = *started_at;
            (StateName::Paused, Some(*spec_matches))
        }
        Container::Restarting => (StateName::Restarting, None),
        Container::Exited { at, exit, spec_matches } => {
            line.at = *at;
            line.exit_code = exit.code;
            line.oom = Some(exit.oom);
            line.log = (!exit.log.is_empty()).then(|| exit.log.clone());
            (StateName::Exited, Some(*spec_matches))
        }
        Container::Signalled { at, signal } => {
            line.at = *at;
            line.signal = Some(*signal);
            (StateName::Signalled, None)
        }
        Container::Stopped { at } => {
            line.at = *at;
            (StateName::Stopped, None)
        }
        Container::Removed { at } => {
            line.at = *at;
            (StateName::Removed, None)
        }
    };
    line.state = Some(state);
    line.spec_matches = spec_matches;
    line
}

fn outcome_line(time: Time, outcome: &Outcome) -> TraceLine {
    match outcome {
        Outcome::Done { container, at } => TraceLine {
            event: EventName::Finished,
            outcome: Some(OutcomeName::Done),
            done_at: *at,
            ..container_line(time, container)
        },
        Outcome::Failed { error, kind } => TraceLine {
            outcome: Some(OutcomeName::Failed),
            error: Some(error.clone()),
            kind: Some(*kind),
            ..TraceLine::new(time, EventName::Finished)
        },
    }
}

fn reading_line(time: Time, reading: Result<Reading, ReferenceError>) -> TraceLine {
    let line = TraceLine::new(time, EventName::Reference);
    match reading {
        Ok(Reading {
            best,
            finalized,
            forked,
        }) => TraceLine {
            best,
            finalized,
            forked,
            ..line
        },
        Err(error) => TraceLine {
            error: Some(error.into_str().to_owned()),
            ..line
        },
    }
}

fn operator_line(time: Time, command: &Command) -> TraceLine {
    let mut line = TraceLine::new(time, EventName::Operator);
    let word = match command {
        Command::Restart { reason } => {
            line.reason = Some(reason.clone());
            "restart"
        }
        Command::Stop { .. } => "stop",
        Command::Start { .. } => "start",
        Command::Pause { seconds, reason } => {
            line.seconds = Some(*seconds);
            line.reason = Some(reason.clone());
            "pause"
        }
        Command::Resume => "resume",
        Command::Update { image, .. } => {
            line.image = Some(image.clone());
            "update"
        }
    };
    line.command = Some(word.to_owned());
    line.automatic = command.is_automatic().then_some(true);
    line
}
