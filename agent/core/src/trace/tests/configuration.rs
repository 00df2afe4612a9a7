//! A changed configuration as a line.

use std::time::Duration;

use proptest::prelude::*;
use strum::VariantArray as _;

use crate::cause::Cause;
use crate::event::{Chain, Event};
use crate::exit_diagnosis::{Signature, Signatures};
use crate::machine::{Idle, Policy, WithoutVolume};

pub(super) fn event() -> impl Strategy<Value = Event> {
    let own = Signature {
        pattern: vec!["a".to_owned(), "b".to_owned()],
        says: Some(Cause::NodeFault),
        ..Signature::default()
    };
    let chains = prop::sample::subsequence(Chain::VARIANTS, 0..=2);
    (chains, any::<u32>(), any::<bool>()).prop_map(move |(chains, ms, full_node)| Event::Configuration {
        policy: Box::new(Policy {
            finality_after: Duration::from_millis(ms.into()),
            idle: chains.iter().map(|chain| (*chain, Idle::default())).collect(),
            identity: full_node.then_some(WithoutVolume::FullNode),
            signatures: Signatures::new(vec![own.clone()]),
            ..Policy::default()
        }),
        references: chains,
    })
}
