//! Properties of what the daemon reads, for any bytes: `make fuzz` looks for bytes that break one.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a broken property should panic"
)]

#[path = "fuzzing/http.rs"]
mod http;
#[path = "fuzzing/redaction.rs"]
mod redaction;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use agent_core::event::{Chain, Event, Time};
use agent_core::machine::{Machine, Policy, State};
use agent_files::Mount;
use serde_json::Value;

pub use self::http::{page_request, socket_request, webhook_answer};
pub use self::redaction::redaction;
use crate::exporter::line::{SampleLine, oracle};
use crate::exporter::{ExporterPage, PageReader};
use crate::host::{chrony_offset, is_default, is_default6, nameservers};
use crate::identity::block_device;
use crate::identity::lease::{self, LeaseFile};
use crate::reference::metrics::Heights;
use crate::reference::rpc::{self, Header};
use crate::state;
use crate::supervisor::PulledImages;
use crate::trace_reader::{LINE_MAX, NextLine, TraceReader};

/// An exporter's page: in any chunks the same as at once, each of its lines as another reader of the format has it.
pub fn exposition_page(data: &[u8]) {
    let [size, page @ ..] = data else { return };
    for chain in [Chain::Parachain, Chain::Relaychain] {
        let whole = read_page(chain, page, page.len().max(1));
        let pieces = read_page(chain, page, usize::from(*size).max(1));
        assert_eq!(whole, pieces);
        if let Some(page) = whole.1 {
            let labels = [page.chain_id, page.node_version];
            assert!(labels.iter().flatten().all(|label| !label.contains(char::is_control)));
            assert!(page.genesis.is_none_or(|genesis| genesis.len() == 64));
        }
    }
    for line in String::from_utf8_lossy(page).lines() {
        let (read, expected) = (SampleLine::parse(line), oracle::Reference::parse(line));
        // The format forbids a label twice, which the grammar alone does not show.
        let is_allowed = |line: &oracle::Reference| {
            let names = line.labels.iter().map(|(name, _)| name);
            names.collect::<BTreeSet<_>>().len() == line.labels.len()
        };
        assert!(read.is_some() || !expected.as_ref().is_some_and(is_allowed), "{line:?}");
        if let Some(sample) = read {
            let expected = expected.unwrap();
            assert_eq!(sample.name, expected.name.replace(':', "_"));
            assert_eq!(sample.value.to_bits(), f64::to_bits(expected.value));
            for (name, _) in &expected.labels {
                let values: Vec<_> = expected.labels.iter().filter(|(other, _)| other == name).collect();
                let found = sample.label(name);
                assert!(
                    values.iter().any(|(_, value)| Some(value) == found.as_ref()),
                    "{line:?}"
                );
            }
        }
    }
}

/// The result, as far as the whole page and what of it is used early.
fn read_page(chain: Chain, page: &[u8], size: usize) -> (String, Option<ExporterPage>) {
    let read = || {
        let mut reader = PageReader::new(chain, "substrate");
        page.chunks(size).for_each(|chunk| reader.feed(chunk));
        reader
    };
    let early = read().finish_early();
    let result = read().finish();
    (format!("{result:?}"), result.ok().or(early))
}

/// Answers of a reference: heights on a page in any order, or by RPC.
pub fn reference_answer(data: &[u8]) {
    let mut heights = Heights::new(Chain::Parachain);
    data.split(|b| *b == b'\n').for_each(|line| heights.note(line));
    assert_eq!(heights.reading.forked, None);
    if let Ok(header) = rpc::result::<Header>(data, "chain_getHeader") {
        header.height();
    }
    if let Ok(hash) = rpc::result::<String>(data, "chain_getFinalizedHead") {
        rpc::differs(&hash, "0x1234…abcd");
        rpc::differs(
            "0x1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef",
            &hash,
        );
    }
    if let Err(error) = rpc::result::<String>(data, "chain_getFinalizedHead") {
        assert!(!error.to_string().contains(char::is_control));
    }
}

/// The saved state: what is accepted is written and read as the same, and the core goes on from it.
pub fn state_json(data: &[u8]) {
    let Ok(loaded) = state::parse::<State>(data) else {
        return;
    };
    let text = state::text(loaded.saved_unix_ms, loaded.clock, &loaded.value).unwrap();
    let again = state::parse::<State>(&text).unwrap();
    assert_eq!((again.saved_unix_ms, again.clock), (loaded.saved_unix_ms, loaded.clock));
    let json = |state: &State| serde_json::to_value(state).unwrap();
    let (read, kept) = (json(&again.value), json(&loaded.value));
    assert!(is_kept(&read, &kept), "{read} is not {kept}");
    let mut machine = Machine::resume(Policy::default(), loaded.value, loaded.clock);
    let mut step = |time, event| drop(machine.step(time, event));
    step(loaded.clock, Event::Tick);
    step(Time(loaded.clock.0.saturating_add(60_000)), Event::Gap);
    machine.next_deadline();
    for problem in machine.problems() {
        assert!(!machine.explain(problem.cause).is_empty());
    }
}

/// Whether what was read is what was written; the reader of fractions may err in the last of their digits.
fn is_kept(read: &Value, written: &Value) -> bool {
    match (read, written) {
        (Value::Array(read), Value::Array(written)) => {
            read.len() == written.len() && read.iter().zip(written).all(|(read, written)| is_kept(read, written))
        }
        (Value::Object(read), Value::Object(written)) => {
            let kept = |(key, read): (&String, &Value)| written.get(key).is_some_and(|written| is_kept(read, written));
            read.len() == written.len() && read.iter().all(kept)
        }
        (Value::Number(read), Value::Number(written)) if read.is_f64() && written.is_f64() => {
            let near = |read: f64, written: f64| (read - written).abs() <= 4.0 * f64::EPSILON * written.abs();
            read.as_f64()
                .zip(written.as_f64())
                .is_some_and(|(read, written)| near(read, written))
        }
        _ => read == written,
    }
}

/// Small files of the agent: the lease and the list of images.
pub fn state_files(data: &[u8]) {
    if let LeaseFile::Lease(lease) = lease::parse(data) {
        let text = serde_json::to_vec(&lease).unwrap();
        assert!(lease.is_same_holder(&lease));
        assert_eq!(lease::parse(&text), LeaseFile::Lease(lease));
    }
    if let Ok(known) = PulledImages::parse(data) {
        let running = known.first().map(|image| image.id.clone());
        let needed: Vec<_> = known.last().map(|image| image.id.clone()).into_iter().collect();
        let kept = [&running.clone().into_iter().collect::<Vec<_>>()[..], &needed].concat();
        let images = PulledImages { known, running };
        for keep in [0, 1, 3] {
            assert!(images.superfluous(keep, &needed).iter().all(|id| !kept.contains(id)));
        }
    }
}

/// What the host says: mounts, routes, resolvers, the clock's offset.
pub fn host_files(data: &[u8]) {
    block_device::find(&Mount::parse(data), Path::new("/identity"));
    let text = String::from_utf8_lossy(data);
    assert!(chrony_offset(&text).is_ok_and(f64::is_finite) || chrony_offset(&text).is_err());
    assert!(nameservers(&text).len() <= 3);
    for line in text.lines() {
        assert!(!(is_default(line) && is_default6(line)));
    }
    // A mount of any name, as the kernel writes it.
    let name: Vec<u8> = data.iter().copied().filter(|b| *b != 0).collect();
    let mut line = b"40 1 259:3 / /".to_vec();
    for byte in &name {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => line.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            byte => line.push(*byte),
        }
    }
    line.extend_from_slice(b" rw shared:3 - ext4 /dev/nvme1n1 ro\n");
    let path = Path::new("/").join(OsStr::from_bytes(&name));
    if path.as_os_str().len() == name.len() + 1 {
        let found = block_device::find(&Mount::parse(&line), &path).unwrap();
        assert!(found.number == (259, 3) && found.read_only);
    }
}

/// The file of a recording, packed or not: it ends, and no line is longer than the longest.
pub fn trace_file(data: &[u8]) {
    let mut reader = TraceReader::from_reader("trace".to_owned(), Box::new(Cursor::new(data.to_vec())));
    let mut unreadable = 0;
    loop {
        match reader.next_line() {
            NextLine::End => break,
            NextLine::Line(line) => assert!(line.len() <= LINE_MAX),
            NextLine::Unreadable(_) => unreadable += 1,
        }
        // Of packed data, a thousand times as much is read at most.
        assert!(unreadable <= data.len());
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test may read its fixtures")]
#[path = "../../../../fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
#[test]
fn corpus_of_each_target_keeps_its_properties() {
    corpus::replay("exposition_page", exposition_page);
    corpus::replay("reference_answer", reference_answer);
    corpus::replay("state_json", state_json);
    corpus::replay("state_files", state_files);
    corpus::replay("host_files", host_files);
    corpus::replay("trace_file", trace_file);
    corpus::replay("redaction", redaction);
    corpus::replay("page_request", page_request);
    corpus::replay("socket_request", socket_request);
    corpus::replay("webhook_answer", webhook_answer);
}
