#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gz(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// All lines as text, an unreadable one as `!reason`.
fn read(mut lines: TraceReader) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        match lines.next_line() {
            NextLine::Line(line) => all.push(String::from_utf8_lossy(line).into_owned()),
            NextLine::Unreadable(reason) => all.push(format!("!{reason}")),
            NextLine::End => return all,
        }
    }
}

fn read_bytes(bytes: Vec<u8>) -> Vec<String> {
    // A capacity of one stands for a pipe that hands out single bytes.
    read(TraceReader::from_reader(
        "test".into(),
        Box::new(BufReader::with_capacity(1, Cursor::new(bytes))),
    ))
}

#[test]
fn plain_gzip_and_members_in_a_row_read_alike() {
    assert_eq!(read_bytes(b"\xef\xbb\xbfa\r\nb".to_vec()), ["a", "b"]);
    assert_eq!(
        read_bytes([gz("a\nb\n"), gz("c\n"), b"d\ne".to_vec()].concat()),
        ["a", "b", "c", "d", "e"]
    );
    assert!(read_bytes(Vec::new()).is_empty());
}

#[test]
fn torn_member_yields_its_complete_lines() {
    let mut torn = gz(&"0123456789 not a line that repeats\n".repeat(5000));
    torn.truncate(torn.len() - 12);
    let lines = read_bytes([gz("a\n"), torn].concat());
    assert_eq!(lines[0], "a");
    assert!(lines.len() > 1000);
    assert!(lines.last().unwrap().starts_with('!'), "{:?}", lines.last());
}

#[test]
fn endless_line_is_skipped_in_bounded_memory() {
    let bytes = [b"a\n".to_vec(), vec![b'x'; 3 * LINE_MAX], b"\nb\n".to_vec()].concat();
    let mut lines = TraceReader::from_reader("test".into(), Box::new(Cursor::new(bytes)));
    let mut seen = Vec::new();
    while let next @ (NextLine::Line(_) | NextLine::Unreadable(_)) = lines.next_line() {
        seen.push(matches!(next, NextLine::Line(_)));
    }
    assert_eq!(seen, [true, false, true]);
    assert!(lines.line.capacity() <= 2 * LINE_MAX + 2, "{}", lines.line.capacity());
}

#[test]
fn line_without_an_end_ends_the_reading() {
    // `repeat` is `/dev/zero` without a system call.
    let endless = BufReader::with_capacity(BUFFER, std::io::repeat(0));
    let seen = read(TraceReader::from_reader("test".into(), Box::new(endless)));
    assert!(
        seen.len() == 1 && seen[0].contains("nothing behind this place is read"),
        "{seen:?}"
    );
}

#[test]
fn folder_is_read_in_the_order_of_its_names() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("flight-0002.jsonl"), "c\n").unwrap();
    fs::write(dir.path().join("flight-0001.jsonl.gz"), gz("a\nb\n")).unwrap();
    fs::write(dir.path().join("notes.txt"), "x\n").unwrap();
    assert_eq!(read(TraceReader::open(dir.path()).unwrap()), ["a", "b", "c"]);
    fs::remove_file(dir.path().join("flight-0002.jsonl")).unwrap();
    fs::remove_file(dir.path().join("flight-0001.jsonl.gz")).unwrap();
    assert!(TraceReader::open(dir.path()).is_err_and(|e| e.to_string().contains("holds no trace")));
}

#[test]
fn other_compression_is_an_error_with_the_remedy() {
    assert!(
        read(TraceReader::from_reader(
            "t".into(),
            Box::new(Cursor::new(b"\xfd7zXZ\0..".to_vec()))
        ))[0]
            .contains("xz -dc FILE")
    );
}
