//! The container's log: its last lines as text within bounds, and its raw bytes as they come.

use std::collections::VecDeque;
use std::mem;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::{Docker, Error};

pub(super) const LINE: usize = 4096;
/// Most bytes that are kept of one log, whatever number of lines was asked for.
pub(super) const TOTAL: usize = 256 * 1024;
/// Records that are read at most. Docker stores a long line as records of 16 KiB, so this is also a bound
/// on what goes over the wire.
const RECORDS: usize = 12_800;

/// Milliseconds by which a run's lines may lie outside its start and end: Docker notes the start when the
/// process already runs, and stamps a line when it reads it. Less than the 100 ms that its restart policy
/// waits between two runs.
pub(super) const RUN_SLACK: i64 = 90;

impl Docker {
    /// The last `n` lines of stdout and stderr, oldest first; empty when there is no container.
    ///
    /// Lines are cut at 4 KiB, and the oldest are left out when all together exceed 256 KiB. Fails when the engine
    /// does not answer.
    pub async fn last_lines(&self, n: usize) -> Result<Vec<String>, Error> {
        self.lines(n, None, None).await
    }

    /// As [`Self::last_lines`], of the run that began at `started_at`, Unix milliseconds; of any run without it.
    pub async fn last_lines_of_run(&self, n: usize, started_at: Option<i64>) -> Result<Vec<String>, Error> {
        self.lines(n, started_at.map(|at| at - RUN_SLACK), None).await
    }

    /// As [`Self::last_lines`], from `since` to `until`, Unix milliseconds. Up to 90 ms after the end still count: Docker
    /// stamps a run's last words after its end.
    pub(super) async fn lines(&self, n: usize, since: Option<i64>, until: Option<i64>) -> Result<Vec<String>, Error> {
        let until = until.map(|until| until + RUN_SLACK);
        let limit = self.limits.call;
        let mut records = n.min(RECORDS);
        loop {
            let read = tokio::time::timeout(limit, self.read_lines(n, records, since, until));
            let read = match read.await {
                Ok(Err(error)) if error.status() == Some(404) => return Ok(Vec::new()),
                Ok(read) => read?,
                Err(_) => {
                    self.ping().await?;
                    return Err(Error::Busy {
                        action: "read the log",
                        limit,
                    });
                }
            };
            // Docker counts back from the end of the log; a run that began meanwhile may have filled the
            // count already, and what was asked for lies further back.
            if read.later == 0 || read.lines.len() >= n || read.records < records || records == RECORDS {
                return Ok(read.lines);
            }
            records = (records * 8).min(RECORDS);
        }
    }

    async fn read_lines(
        &self,
        n: usize,
        records: usize,
        since: Option<i64>,
        until: Option<i64>,
    ) -> Result<Read, Error> {
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .tail(&records.to_string())
            .build();
        let engine = self.engine().await?;
        let reference = self.reference();
        let mut frames = std::pin::pin!(engine.logs(&reference, Some(options)));
        let mut lines = LogTail::new(n);
        let mut read = Read::default();
        while let Some(frame) = frames.next().await {
            let frame = frame.map_err(|error| self.error("read the log", error))?;
            let source = usize::from(matches!(frame, LogOutput::StdErr { .. }));
            read.records += 1;
            let (at, text) = stamped(frame.as_ref());
            if at.is_some_and(|at| until.is_some_and(|until| at > until)) {
                read.later += 1;
            } else if at.is_none_or(|at| since.is_none_or(|since| at >= since)) {
                lines.push(source, text);
            }
        }
        read.lines = lines.finish();
        Ok(read)
    }

    /// The log as the container wrote it, stdout and stderr in one, beginning `tail` records before the
    /// end; with `follow` it goes on until the container is removed.
    pub fn logs(&self, tail: u32, follow: bool) -> impl Stream<Item = Result<Vec<u8>, Error>> + Send + 'static + use<> {
        let docker = self.clone();
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .follow(follow)
            .tail(&tail.to_string())
            .build();
        stream::once(async move {
            // A log that is silent cannot be distinguished from an engine that hangs, so the engine is asked first.
            docker.version().await?;
            let frames = docker.engine().await?.logs(&docker.reference(), Some(options));
            let frames = frames.map_ok(|frame| frame.into_bytes().to_vec());
            Ok::<_, Error>(frames.map_err(move |error| docker.error("read the log", error)))
        })
        .try_flatten()
    }
}

#[derive(Default)]
struct Read {
    lines: Vec<String>,
    records: usize,
    /// How many of them were left out for being too new.
    later: usize,
}

/// Splits Docker's timestamp off a record; Unix milliseconds.
pub(super) fn stamped(record: &[u8]) -> (Option<i64>, &[u8]) {
    let Some(space) = record.iter().take(40).position(|byte| *byte == b' ') else {
        return (None, record);
    };
    let (stamp, rest) = record.split_at(space);
    match std::str::from_utf8(stamp)
        .ok()
        .and_then(|stamp| stamp.parse::<Timestamp>().ok())
    {
        Some(at) => (Some(at.as_millisecond()), rest.get(1..).unwrap_or_default()),
        None => (None, record),
    }
}

/// Puts records together to lines and keeps the last of them, never more than the bounds allow.
pub(super) struct LogTail {
    keep: usize,
    done: VecDeque<String>,
    bytes: usize,
    /// The unfinished lines of stdout and stderr: a long line comes in pieces.
    open: [Vec<u8>; 2],
}

impl LogTail {
    pub(super) fn new(keep: usize) -> Self {
        Self {
            keep,
            done: VecDeque::new(),
            bytes: 0,
            open: [Vec::new(), Vec::new()],
        }
    }

    pub(super) fn push(&mut self, source: usize, mut text: &[u8]) {
        loop {
            let end = text.iter().position(|byte| *byte == b'\n');
            let piece = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
            let open = &mut self.open[source];
            // One byte more than may stay: enough to know that something was cut off.
            open.extend_from_slice(
                piece
                    .get(..piece.len().min((LINE + 1).saturating_sub(open.len())))
                    .unwrap_or_default(),
            );
            let Some(end) = end else { return };
            let line = mem::take(open);
            self.close(line);
            text = text.get(end + 1..).unwrap_or_default();
            if text.is_empty() {
                return;
            }
        }
    }

    fn close(&mut self, mut line: Vec<u8>) {
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let mut line = String::from_utf8_lossy(&line).into_owned();
        if line.len() > LINE {
            let room = LINE - '…'.len_utf8();
            line.truncate((0..=room).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0));
            line.push('…');
        }
        self.bytes += line.len();
        self.done.push_back(line);
        while self.done.len() > self.keep || self.bytes > TOTAL {
            self.bytes -= self.done.pop_front().map_or(0, |line| line.len());
        }
    }

    pub(super) fn finish(mut self) -> Vec<String> {
        for source in 0..self.open.len() {
            let rest = mem::take(&mut self.open[source]);
            if !rest.is_empty() {
                self.close(rest);
            }
        }
        self.done.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(keep: usize, records: &[(usize, &[u8])]) -> Vec<String> {
        let mut lines = LogTail::new(keep);
        for (source, record) in records {
            lines.push(*source, record);
        }
        lines.finish()
    }

    #[test]
    fn the_last_lines_stay_in_order() {
        assert_eq!(
            lines(2, &[(0, b"one\n"), (1, b"two\r\n"), (0, b"three\n")]),
            ["two", "three"]
        );
        assert!(lines(0, &[(0, b"one\n")]).is_empty());
    }

    #[test]
    fn pieces_of_two_streams_do_not_mix() {
        assert_eq!(
            lines(9, &[(0, b"out "), (1, b"err "), (0, b"put\n"), (1, b"or")]),
            ["out put", "err or"]
        );
    }

    #[test]
    fn a_line_of_ten_megabytes_costs_four_kibibytes() {
        let mut lines = LogTail::new(10);
        for _ in 0..640 {
            lines.push(0, &[b'x'; 16 * 1024]);
            assert!(lines.open[0].capacity() <= 4 * LINE);
        }
        lines.push(0, b"\nafter\n");
        let lines = lines.finish();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].len() <= LINE && lines[0].ends_with('…'));
        assert_eq!(lines[1], "after");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        let line = "💤".repeat(2000);
        let cut = lines(1, &[(0, line.as_bytes())]);
        assert!(cut[0].len() <= LINE);
        assert!(cut[0].trim_end_matches('…').chars().all(|c| c == '💤'));
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_not_cut() {
        let line = "y".repeat(LINE);
        assert_eq!(lines(1, &[(0, line.as_bytes()), (0, b"\n")]), [line]);
    }

    #[test]
    fn all_lines_together_are_bounded() {
        let mut lines = LogTail::new(100_000);
        for _ in 0..1000 {
            lines.push(0, &[b'z'; 1023]);
            lines.push(0, b"\n");
        }
        let kept: usize = lines.finish().iter().map(String::len).sum();
        assert!(kept <= TOTAL && kept > TOTAL / 2, "{kept}");
    }

    #[test]
    fn a_record_without_a_timestamp_is_text() {
        assert_eq!(
            stamped(b"2026-11-23T06:24:38.041705195Z hi\n"),
            (Some(1_795_415_078_041), &b"hi\n"[..])
        );
        assert_eq!(stamped(b"plain text\n"), (None, &b"plain text\n"[..]));
        assert_eq!(stamped(b""), (None, &b""[..]));
    }
}
