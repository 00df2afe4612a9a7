//! Lines of a text that arrives in chunks.

/// Longest line that is of use, bytes. A needed line of a page has about 100.
pub(crate) const LONGEST: usize = 1024;

/// Joins the chunks of a text and splits it into lines, in bounded memory.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    /// The beginning of a line whose end is yet to come.
    partial: Vec<u8>,
}

impl LineSplitter {
    /// Passes the lines that end in `chunk` to `note`, without their ends. One that is longer than [`LONGEST`] is cut to
    /// one byte more than that.
    pub(crate) fn feed(&mut self, chunk: &[u8], mut note: impl FnMut(&[u8])) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if self.partial.is_empty() {
                note(&line[..line.len().min(LONGEST + 1)]);
            } else {
                self.keep(line);
                note(&self.partial);
                self.partial.clear();
            }
        }
        self.keep(rest);
    }

    /// Whether the text so far ends with a whole line.
    pub(crate) fn is_whole(&self) -> bool {
        self.partial.is_empty()
    }

    fn keep(&mut self, part: &[u8]) {
        let room = (LONGEST + 1).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&part[..part.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_any_chunks_gives_the_same_lines_in_bounded_memory() {
        let text = format!("a 1\n\n{}\nb 2\r\n{}", "x".repeat(3 * LONGEST), "y".repeat(2 * LONGEST));
        let long = "x".repeat(LONGEST + 1);
        for size in 1..text.len() {
            let (mut splitter, mut lines) = (LineSplitter::default(), Vec::new());
            for chunk in text.as_bytes().chunks(size) {
                splitter.feed(chunk, |line| lines.push(String::from_utf8_lossy(line).into_owned()));
                assert!(splitter.partial.len() <= LONGEST + 1);
            }
            assert_eq!(lines, ["a 1", "", &long, "b 2\r"]);
            assert!(!splitter.is_whole());
            splitter.feed(b"\n", |_| {});
            assert!(splitter.is_whole());
        }
    }
}
