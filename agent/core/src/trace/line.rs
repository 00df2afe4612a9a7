//! One line of a trace as it is written: one flat object, so that a million lines are read in a second.

use std::fmt;
use std::io::{self, Write};
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::event::{ActionFailure, Chain, Disk, Images, NoticeKind, Time, Versions};
use crate::machine::Policy;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct TraceLine {
    /// Seconds.
    pub(super) t: f64,
    pub(super) event: EventName,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) chain: Option<Chain>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) best: Option<u64>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) finalized: Option<u64>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<u64>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) peers: Option<u64>,
    #[serde(default, deserialize_with = "gauge", skip_serializing_if = "Option::is_none")]
    pub(super) major_syncing: Option<bool>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) imported_total: Option<u64>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) built_total: Option<u64>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) bytes_in: Option<u64>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) process_start: Option<u64>,

    /// Those that do not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) disks: Option<Vec<Disk>>,
    /// How far the wall clock was set.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) by_ms: Option<i64>,

    /// Why a scrape failed, or the error of a failed action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,

    /// Of a container, or of Docker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<StateName>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) started_at: Option<i64>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) spec_matches: Option<bool>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) exit_code: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) oom: Option<bool>,
    #[serde(default, deserialize_with = "lines", skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<Vec<String>>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) signal: Option<i64>,

    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) disk_free_bytes: Option<u64>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) disk_total_bytes: Option<u64>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) memory_available_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) memory_full_percent: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) io_full_percent: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) load1: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) network_ok: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) clock_offset_ms: Option<f64>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cpu_percent: Option<f64>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) block_read_bytes: Option<u64>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) block_write_bytes: Option<u64>,

    /// Of a reference: its position in the configuration, and whether its chain is another one.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) forked: Option<bool>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) seconds: Option<u64>,

    /// Of an update; whether without an operator, also of a stop or start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) automatic: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) images: Option<Images>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) versions: Option<Versions>,

    /// Of a configuration: what the core judges by, and the chains whose references are others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<Box<Policy>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) chains: Option<Vec<Chain>>,

    /// Of EC2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) notice: Option<NoticeKind>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<OutcomeName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<ActionFailure>,
    /// Docker's wall clock when an action was done; `at` is the container's.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) done_at: Option<i64>,

    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub(super) unix_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) helped: Option<bool>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub(super) enum EventName {
    Sample,
    ScrapeFailed,
    Container,
    Host,
    Activity,
    Log,
    Reference,
    Certificate,
    CertificateUnreadable,
    Shared,
    Altered,
    Docker,
    Ec2,
    Identity,
    IdentityReleased,
    #[default]
    Gap,
    Operator,
    Pulled,
    Databases,
    Finished,
    StateUnsaved,
    StateSetAside,
    RecordsUnsaved,
    DisksStalled,
    ClockStepped,
    Configuration,
    ConfigurationRefused,
    Clock,
    Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StateName {
    Missing,
    Foreign,
    Created,
    Running,
    Paused,
    Restarting,
    /// Docker has several states for what does not run.
    #[serde(alias = "dead", alias = "removing", alias = "killed")]
    Exited,
    Signalled,
    Stopped,
    #[serde(alias = "destroyed")]
    Removed,
    #[serde(alias = "ok", alias = "up", alias = "back", alias = "available", alias = "connected")]
    Reachable,
    #[serde(alias = "down", alias = "unavailable")]
    Unreachable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutcomeName {
    Done,
    Failed,
}

impl TraceLine {
    /// A line that says nothing but when and what kind.
    pub(super) fn new(time: Time, event: EventName) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "exact to the millisecond for 140,000 years")]
        let t = time.0 as f64 / 1000.0;
        Self {
            t,
            event,
            ..Self::default()
        }
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

/// Yes or no, also as the exporter has it: 0 or 1.
fn gauge<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected true, false, 0 or 1")]
    enum Gauge {
        Flag(bool),
        Number(f64),
    }
    Ok(Option::<Gauge>::deserialize(deserializer)?.map(|gauge| match gauge {
        Gauge::Flag(flag) => flag,
        Gauge::Number(number) => number > 0.0,
    }))
}

/// Lines of text, one by one or in one piece.
fn lines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of lines")]
    enum Text {
        Lines(Vec<String>),
        Whole(String),
    }
    Ok(Option::<Text>::deserialize(deserializer)?.map(|text| match text {
        Text::Lines(lines) => lines,
        Text::Whole(text) => text.lines().map(str::to_owned).collect(),
    }))
}

/// An integer, also where another tool wrote it as a float (`1e6`, `12.0`, an average of `12.5`).
fn whole<'de, D: Deserializer<'de>, T: TryFrom<i128>>(deserializer: D) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(Whole(PhantomData))
}

struct Whole<T>(PhantomData<T>);

impl<T: TryFrom<i128>> Visitor<'_> for Whole<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a whole number or null")
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
        fit(i128::from(v))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> {
        fit(i128::from(v))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "saturates, and what does not fit is refused next"
        )]
        fit(v as i128)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

fn fit<T: TryFrom<i128>, E: Error>(v: i128) -> Result<Option<T>, E> {
    T::try_from(v)
        .map(Some)
        .map_err(|_| E::custom(format_args!("{v} is out of range")))
}
