//! Byte offsets of a text to line numbers.

/// Byte offsets at which the lines of a text begin.
pub(crate) struct LineIndex(Vec<usize>);

impl LineIndex {
    pub(crate) fn new(text: &str) -> Self {
        let later = text.match_indices('\n').map(|(i, _)| i + 1);
        Self(std::iter::once(0).chain(later).collect())
    }

    /// The line of a byte offset, from 1.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}
