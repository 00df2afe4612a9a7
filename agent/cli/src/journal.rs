//! The log as entries of systemd's journal with their fields, for `journalctl CAUSE=stalled`.
//!
//! Only where standard error is the journal's. `MESSAGE` is the line that would stand there, so nothing is in an entry
//! that the line has not.

use std::env;
use std::fmt::{Debug, Write as _};
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::fs::fstat;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

const SOCKET: &str = "/run/systemd/journal/socket";

/// Sends each event as one datagram of the journal's native protocol.
pub(crate) struct JournalLayer {
    socket: UnixDatagram,
}

impl JournalLayer {
    /// The journal's socket, when standard error leads to the journal as well.
    pub(crate) fn detect() -> Option<Self> {
        let stderr = fstat(io::stderr()).ok()?;
        let journal = env::var("JOURNAL_STREAM").ok()?;
        if journal != format!("{}:{}", stderr.st_dev, stderr.st_ino) {
            return None;
        }
        Self::connect(Path::new(SOCKET)).ok()
    }

    fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // A journal that does not read must not stop the agent.
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }
}

impl<S: Subscriber> Layer<S> for JournalLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let level = *metadata.level();
        let mut entry = Entry::default();
        event.record(&mut entry);
        let line = format!("{level:>5} {}:{}", metadata.target(), entry.line);
        entry.put("MESSAGE", &line);
        entry.put("PRIORITY", priority(level));
        entry.put("SYSLOG_IDENTIFIER", "t0rn-agent");
        entry.put("TARGET", metadata.target());
        // A datagram has a largest size, and a journal that restarts takes none.
        if self.socket.send(&entry.datagram).is_err() {
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}

/// The severity as syslog numbers it.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

/// One event as text and as the fields of an entry.
#[derive(Default)]
struct Entry {
    /// The message and ` name=value` of each field.
    line: String,
    datagram: Vec<u8>,
}

impl Entry {
    fn put(&mut self, name: &str, value: &str) {
        self.datagram.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            self.datagram.push(b'\n');
            self.datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.datagram.push(b'=');
        }
        self.datagram.extend_from_slice(value.as_bytes());
        self.datagram.push(b'\n');
    }

    /// `shown` is how the line has the value.
    fn field(&mut self, field: &Field, value: &str, shown: &str) {
        // Writing to a string does not fail.
        let _ = if field.name() == "message" {
            write!(self.line, " {value}")
        } else {
            let is_plain = |c: char| c.is_ascii_alphanumeric();
            let name = field.name().to_ascii_uppercase().replace(|c| !is_plain(c), "_");
            self.put(&name, value);
            write!(self.line, " {}={shown}", field.name())
        };
    }
}

impl Visit for Entry {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}");
        self.field(field, &value, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, value, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::collections::BTreeMap;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// The fields of one datagram.
    fn fields(mut rest: &[u8]) -> BTreeMap<String, String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut fields = BTreeMap::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|b| matches!(b, b'=' | b'\n')).unwrap();
            let (name, is_sized) = (text(&rest[..end]), rest[end] == b'\n');
            rest = &rest[end + 1..];
            let length = if is_sized {
                let (size, tail) = rest.split_at(8);
                rest = tail;
                usize::try_from(u64::from_le_bytes(size.try_into().unwrap())).unwrap()
            } else {
                rest.iter().position(|b| *b == b'\n').unwrap()
            };
            fields.insert(name, text(&rest[..length]));
            rest = &rest[length + 1..];
        }
        fields
    }

    #[test]
    fn event_becomes_an_entry_with_its_fields() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let layer = JournalLayer::connect(&path).unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "supervisor", cause = "stalled", helped = true, why = "a\nb", tries = 3, "acting");
        });
        let mut datagram = [0; 4096];
        let size = journal.recv(&mut datagram).unwrap();
        let expected = [
            ("CAUSE", "stalled"),
            ("HELPED", "true"),
            ("WHY", "a\nb"),
            ("TRIES", "3"),
            (
                "MESSAGE",
                r#" WARN supervisor: acting cause="stalled" helped=true why="a\nb" tries=3"#,
            ),
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "t0rn-agent"),
            ("TARGET", "supervisor"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields(&datagram[..size]), expected.into());
    }
}
