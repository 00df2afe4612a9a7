//! Text of others on a terminal, without what the terminal would obey.

/// Takes escape sequences and control characters out of a stream, but for newlines and tabs. Sequences may be cut by the
/// pieces that the stream comes in; none goes beyond its line.
#[derive(Debug, Default)]
pub(crate) struct EscapeFilter {
    within: Within,
}

/// What the next byte belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Within {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// Parameters of a control sequence.
    Sequence,
    /// A title, a link, a device's string: up to BEL or ESC `\`.
    Quoted,
    /// After ESC in such a string.
    QuotedEscape,
    /// After the first byte of U+0080 to U+00BF, which has the control characters of eight bits.
    TwoBytes,
}

impl EscapeFilter {
    pub(crate) fn strip(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.within = if byte == b'\n' {
                out.push(byte);
                Within::Text
            } else {
                self.next(byte, &mut out)
            };
        }
        out
    }

    fn next(&self, byte: u8, out: &mut Vec<u8>) -> Within {
        match self.within {
            Within::Text => plain(byte, out),
            Within::Escape | Within::QuotedEscape => match byte {
                b'[' => Within::Sequence,
                b']' | b'P' | b'X' | b'^' | b'_' => Within::Quoted,
                0x1b | 0x20..=0x2f => Within::Escape,
                _ => Within::Text,
            },
            Within::Sequence => match byte {
                0x40..=0x7e => Within::Text,
                0x1b => Within::Escape,
                _ => Within::Sequence,
            },
            Within::Quoted => match byte {
                0x07 => Within::Text,
                0x1b => Within::QuotedEscape,
                _ => Within::Quoted,
            },
            Within::TwoBytes => match byte {
                0x9b => Within::Sequence,
                0x90 | 0x98 | 0x9d..=0x9f => Within::Quoted,
                0x80..=0x9f => Within::Text,
                0xa0..=0xbf => {
                    out.extend([0xc2, byte]);
                    Within::Text
                }
                // The byte before it is no text: it would join a later one.
                byte => plain(byte, out),
            },
        }
    }
}

/// A byte outside of sequences.
fn plain(byte: u8, out: &mut Vec<u8>) -> Within {
    match byte {
        0x1b => return Within::Escape,
        0xc2 => return Within::TwoBytes,
        b'\t' | 0x20..=0x7e | 0x80.. => out.push(byte),
        _ => {}
    }
    Within::Text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(pieces: &[&[u8]]) -> Vec<u8> {
        let mut filter = EscapeFilter::default();
        pieces.iter().flat_map(|piece| filter.strip(piece)).collect()
    }

    #[test]
    fn what_a_terminal_would_obey_is_taken_out() {
        for (from, to) in [
            (
                "\u{1b}[1;32mInfo\u{1b}[0m best: #42 (0xab…cd)\r\n",
                "Info best: #42 (0xab…cd)\n",
            ),
            (
                "\u{1b}]0;title\u{7}a\u{1b}]8;;http://x\u{1b}\\b\u{1b}]52;c;aGk=\u{7}",
                "ab",
            ),
            ("\u{1b}c\u{1b}(0a\u{8}\u{7f}\tb", "a\tb"),
            ("\u{9b}31mred\u{9d}0;x\u{7}£é💤", "red£é💤"),
            ("\u{1b}]unfinished\nnext", "\nnext"),
            ("\u{1b}P+q\u{1b}[31m\u{1b}\\x", "x"),
        ] {
            let whole = strip(&[from.as_bytes()]);
            let bytes: Vec<_> = from.as_bytes().chunks(1).collect();
            assert_eq!(strip(&bytes), whole, "{from:?} in pieces");
            assert!(
                !whole.iter().any(|b| *b < 0x09 || (0x0b..0x20).contains(b)),
                "{whole:?}"
            );
            assert_eq!(String::from_utf8_lossy(&whole), to, "{from:?}");
        }
    }

    #[test]
    fn half_a_character_joins_no_later_byte_to_a_control_character() {
        for bytes in [
            b"a\xc2\x1b[m\x9b31mb".as_slice(),
            b"a\xc2\xc2\x85\x85b",
            b"a\xc2\x01\x9b31mb",
            b"a\xc2",
        ] {
            let shown = strip(&[bytes]);
            let text = String::from_utf8_lossy(&shown);
            assert!(text.starts_with('a') && !text.contains(char::is_control), "{shown:?}");
        }
    }
}
