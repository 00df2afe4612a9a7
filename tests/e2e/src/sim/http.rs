//! As much of HTTP/1.1 as an exporter and the control server need.

use std::io::{self, Read, Write as _};
use std::net::TcpStream;

/// Longest request, head and body together.
const LONGEST_REQUEST: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
    head: String,
}

impl Request {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = headers.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }
}

/// Reads one request; `None` when the peer closed the connection instead.
pub(crate) fn read_request(stream: &mut impl Read) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        let n = stream.read(&mut chunk)?;
        if n == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk[..n]);
        if bytes.len() > LONGEST_REQUEST {
            return Err(io::Error::other("request too long"));
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let length = head
        .lines()
        .filter_map(|l| l.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Ok(0), |(_, value)| value.trim().parse::<usize>())
        .map_err(io::Error::other)?;
    if length > LONGEST_REQUEST {
        return Err(io::Error::other("request too long"));
    }
    while bytes.len() < head_end + length {
        let n = stream.read(&mut chunk)?;
        if n == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk[..n]);
    }
    let mut words = head
        .split_whitespace()
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter();
    Ok(Some(Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        body: String::from_utf8_lossy(&bytes[head_end..head_end + length]).into_owned(),
        head,
    }))
}

/// Writes a status line, the content type of exposition text, and the length if it is announced.
pub(super) fn write_head(stream: &mut TcpStream, status: u16, length: Option<usize>) -> io::Result<()> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Other",
    };
    let length = match length {
        Some(n) => format!("content-length: {n}\r\n"),
        None => "connection: close\r\n".to_owned(),
    };
    let head = format!("HTTP/1.1 {status} {reason}\r\ncontent-type: text/plain; version=0.0.4\r\n{length}\r\n");
    stream.write_all(head.as_bytes())
}

/// A whole answer that keeps the connection open.
pub(super) fn answer(stream: &mut TcpStream, status: u16, body: &[u8]) -> io::Result<()> {
    write_head(stream, status, Some(body.len()))?;
    stream.write_all(body)
}
