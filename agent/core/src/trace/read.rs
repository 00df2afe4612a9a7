//! Reads lines as events.

use super::line::{EventName, OutcomeName, StateName, TraceLine};
use super::{Record, TraceError};
use crate::event::{
    ActionFailure, Activity, Command, Container, Event, Exit, HostFacts, Identity, Notice, Outcome, PullError, Reading,
    ReferenceError, Sample, ScrapeError, Time,
};

/// The largest `t` taken: 3,170 years of seconds. What lies beyond is in another unit.
const T_MAX: f64 = 1e11;

/// Reads one line (without regard to a line end), `t` in seconds, as the time in milliseconds and what it holds.
pub fn parse_line(text: &[u8]) -> Result<(Time, Record), TraceError> {
    let line: TraceLine = serde_json::from_slice(text).map_err(|e| {
        let text = e.to_string();
        // The position within a single line is the column alone.
        let reason = text
            .rsplit_once(" at line ")
            .map_or(text.as_str(), |(reason, _)| reason);
        TraceError::Json {
            reason: reason.to_owned(),
            column: e.column(),
        }
    })?;
    if !(0.0..=T_MAX).contains(&line.t) {
        return Err(TraceError::Time(line.t));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 1e14, checked above"
    )]
    let time = Time((line.t * 1000.0).round() as u64);
    Ok((time, record(line)?))
}

fn record(line: TraceLine) -> Result<Record, TraceError> {
    let event = line.event.into_str();
    let missing = move |what| TraceError::Missing { event, what };
    Ok(Record::Event(match line.event {
        EventName::Sample => Event::Sample {
            chain: line.chain.ok_or(missing("`chain`"))?,
            sample: Sample {
                best: line.best,
                finalized: line.finalized,
                target: line.target,
                peers: line.peers,
                major_syncing: line.major_syncing,
                imported_total: line.imported_total,
                built_total: line.built_total,
                bytes_in: line.bytes_in,
                process_start: line.process_start,
            },
        },
        EventName::ScrapeFailed => Event::ScrapeFailed {
            chain: line.chain.ok_or(missing("`chain`"))?,
            error: scrape_error(line.error.as_deref().unwrap_or_default()),
        },
        EventName::Container => Event::Container(container(line)?),
        EventName::Host => Event::Host(HostFacts {
            disk_free_bytes: line.disk_free_bytes,
            disk_total_bytes: line.disk_total_bytes,
            memory_available_bytes: line.memory_available_bytes,
            memory_full_percent: line.memory_full_percent,
            io_full_percent: line.io_full_percent,
            load1: line.load1,
            network_ok: line.network_ok,
            clock_offset_ms: line.clock_offset_ms,
        }),
        EventName::Activity => Event::Activity(Activity {
            cpu_percent: line.cpu_percent,
            block_read_bytes: line.block_read_bytes,
            block_write_bytes: line.block_write_bytes,
        }),
        EventName::Log => Event::Log(line.log.unwrap_or_default()),
        EventName::Reference => Event::Reference {
            chain: line.chain.ok_or(missing("`chain`"))?,
            source: line.source.and_then(|n| n.try_into().ok()).unwrap_or_default(),
            reading: reading(&line),
        },
        EventName::Certificate => Event::Certificate(match line.cause.as_deref() {
            None => None,
            Some(word) => Some(
                word.parse()
                    .map_err(|_| missing("`cause`: chain, database, newer_node or restore"))?,
            ),
        }),
        EventName::CertificateUnreadable => Event::CertificateUnreadable(line.error.unwrap_or_default()),
        EventName::Shared => Event::Shared(line.reason),
        EventName::Altered => Event::Altered(line.reason),
        EventName::IdentityReleased => Event::IdentityReleased,
        EventName::StateUnsaved => Event::StateUnsaved(line.error),
        EventName::StateSetAside => Event::StateSetAside(line.error.unwrap_or_default()),
        EventName::RecordsUnsaved => Event::RecordsUnsaved(line.error),
        EventName::DisksStalled => Event::DisksStalled(line.disks.unwrap_or_default()),
        EventName::ClockStepped => clock_step(&line),
        EventName::Configuration => configuration(line)?,
        EventName::ConfigurationRefused => Event::ConfigurationRefused(line.error),
        EventName::Docker => match line.state {
            Some(StateName::Reachable | StateName::Running) => Event::Docker { reachable: true },
            Some(StateName::Unreachable) => Event::Docker { reachable: false },
            _ => return Err(missing("`state`: reachable or unreachable")),
        },
        EventName::Ec2 => Event::Ec2(line.notice.map(|kind| Notice {
            kind,
            seconds: line.seconds,
        })),
        EventName::Identity => Event::Identity(identity(line)?),
        EventName::Gap => Event::Gap,
        EventName::Operator => Event::Operator(command(line)?),
        EventName::Pulled => Event::Pulled(line.images.ok_or_else(|| PullError(line.error.unwrap_or_default()))),
        EventName::Databases => Event::Databases(line.versions.unwrap_or_default()),
        EventName::Finished => Event::Finished(match line.outcome.ok_or(missing("`outcome`"))? {
            OutcomeName::Done => Outcome::Done {
                at: line.done_at,
                container: container(line)?,
            },
            OutcomeName::Failed => Outcome::Failed {
                error: line.error.unwrap_or_default(),
                kind: line.kind.unwrap_or(ActionFailure::Other),
            },
        }),
        EventName::Clock => {
            return Ok(Record::Clock {
                unix_ms: line.unix_ms.ok_or(missing("`unix_ms`"))?,
            });
        }
        EventName::Action => {
            return Ok(Record::Action {
                action: line.action.ok_or(missing("`action`"))?,
                cause: line.cause.unwrap_or_default(),
                helped: line.helped,
            });
        }
    }))
}

fn reading(line: &TraceLine) -> Result<Reading, ReferenceError> {
    match line.error.as_deref() {
        Some(word) => Err(word.parse().unwrap_or(ReferenceError::Unreachable)),
        None => Ok(Reading {
            best: line.best,
            finalized: line.finalized,
            forked: line.forked,
        }),
    }
}

fn clock_step(line: &TraceLine) -> Event {
    let by_ms = line.by_ms.unwrap_or_default();
    Event::ClockStepped { by_ms }
}

fn configuration(line: TraceLine) -> Result<Event, TraceError> {
    let event = line.event.into_str();
    Ok(Event::Configuration {
        policy: line.policy.ok_or(TraceError::Missing {
            event,
            what: "`policy`",
        })?,
        references: line.chains.unwrap_or_default(),
    })
}

fn command(line: TraceLine) -> Result<Command, TraceError> {
    let missing = |what| TraceError::Missing {
        event: "operator",
        what,
    };
    let automatic = line.automatic.unwrap_or(false);
    Ok(match line.command.as_deref() {
        Some("restart") => Command::Restart {
            reason: line.reason.unwrap_or_default(),
        },
        Some("stop") => Command::Stop { automatic },
        Some("start") => Command::Start { automatic },
        Some("pause") => Command::Pause {
            seconds: line.seconds.ok_or(missing("`seconds`"))?,
            reason: line.reason.unwrap_or_default(),
        },
        Some("resume") => Command::Resume,
        Some("update") => Command::Update {
            image: line.image.ok_or(missing("`image`"))?,
            automatic,
        },
        _ => return Err(missing("`command`: restart, stop, start, pause, resume or update")),
    })
}

fn identity(line: TraceLine) -> Result<Identity, TraceError> {
    let word = line.cause.unwrap_or_default();
    let holding = word.parse().ok();
    Ok(Identity {
        holding: holding.ok_or(TraceError::Missing {
            event: "identity",
            what: "`cause`: held, missing, lost, read_only or unknown",
        })?,
        why: line.reason.unwrap_or_default(),
    })
}

/// A container's state; a trace made by hand need not know the hash of the specification.
fn container(line: TraceLine) -> Result<Container, TraceError> {
    let event = line.event.into_str();
    let spec_matches = line.spec_matches.unwrap_or(true);
    let (at, started_at) = (line.at, line.started_at);
    Ok(
        match line.state.ok_or(TraceError::Missing { event, what: "`state`" })? {
            StateName::Missing => Container::Missing,
            StateName::Foreign => Container::Foreign,
            StateName::Created => Container::Created { spec_matches },
            StateName::Running => Container::Running {
                started_at,
                spec_matches,
            },
            StateName::Paused => Container::Paused {
                started_at,
                spec_matches,
            },
            StateName::Restarting => Container::Restarting,
            StateName::Exited => Container::Exited {
                at,
                exit: Exit {
                    code: line.exit_code,
                    oom: line.oom.unwrap_or(false),
                    log: line.log.unwrap_or_default(),
                },
                spec_matches,
            },
            StateName::Signalled => Container::Signalled {
                at,
                signal: line.signal.ok_or(TraceError::Missing {
                    event,
                    what: "`signal`",
                })?,
            },
            StateName::Stopped => Container::Stopped { at },
            StateName::Removed => Container::Removed { at },
            StateName::Reachable | StateName::Unreachable => {
                return Err(TraceError::Missing {
                    event,
                    what: "the `state` of a container, not of docker",
                });
            }
        },
    )
}

/// The kind of failure by its name, also another tool's. An unknown one counts as unreachable.
fn scrape_error(word: &str) -> ScrapeError {
    const WORDS: [(&str, ScrapeError); 11] = [
        ("http", ScrapeError::HttpStatus),
        ("status", ScrapeError::HttpStatus),
        ("large", ScrapeError::TooLarge),
        ("big", ScrapeError::TooLarge),
        ("pars", ScrapeError::Unparsable),
        ("garbage", ScrapeError::Unparsable),
        ("invalid", ScrapeError::Unparsable),
        ("bad", ScrapeError::Unparsable),
        ("missing", ScrapeError::MetricMissing),
        ("refused", ScrapeError::Refused),
        ("time", ScrapeError::Timeout),
    ];
    let word = word.to_ascii_lowercase();
    let known = WORDS.into_iter().find(|(part, _)| word.contains(part));
    known.map_or(ScrapeError::Unreachable, |(_, error)| error)
}
