//! The last check before anything with keys is created or started.

use tokio::sync::watch;

use super::spec::Spec;
use super::{Docker, Error};

/// Whether a collator with its keys may be created and started at this very moment.
///
/// Between a decision and the call that carries it out an image may have been pulled and another container stopped: the
/// identity may be lost by then.
#[derive(Debug, Clone)]
pub struct KeyPermit(watch::Receiver<bool>);

impl KeyPermit {
    /// A permit that follows what is sent.
    pub fn new(permitted: watch::Receiver<bool>) -> Self {
        Self(permitted)
    }

    fn allows(&self, spec: &Spec) -> bool {
        !spec.keys || *self.0.borrow()
    }
}

impl Docker {
    pub(super) fn require_permit(&self, permit: &KeyPermit) -> Result<(), Error> {
        if permit.allows(&self.spec) {
            Ok(())
        } else {
            Err(Error::KeysNotPermitted)
        }
    }
}
