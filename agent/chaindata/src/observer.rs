//! Reports of a snapshot, restore or verification to its caller while it works.

/// Receives progress and notes. Called in the thread that does the work.
pub trait Observer {
    /// `task` begins. It will process `total` bytes; `None` where that is unknown.
    fn begin(&mut self, task: &'static str, total: Option<u64>);
    /// So many bytes more are processed.
    fn advance(&mut self, bytes: u64);
    fn end(&mut self);
    /// Something a person has to know, such as what is left out and why.
    fn note(&mut self, text: &str);
}
