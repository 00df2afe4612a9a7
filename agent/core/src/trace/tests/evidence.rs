//! Events that are evidence, and those of the agent itself, with any values.

use super::*;

pub(super) fn evidence() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<bool>().prop_map(|reachable| Event::Docker { reachable }),
        Just(Event::IdentityReleased),
        any::<String>().prop_map(Event::CertificateUnreadable),
        any::<Option<String>>().prop_map(Event::Shared),
        any::<Option<String>>().prop_map(Event::Altered),
        any::<Vec<String>>().prop_map(Event::Log),
        (
            prop::sample::select(Chain::VARIANTS.to_vec()),
            any::<(u8, Option<u64>, Option<u64>, Option<bool>)>(),
            prop::option::of(Just(ReferenceError::RateLimited))
        )
            .prop_map(|(chain, (source, best, finalized, forked), error)| Event::Reference {
                chain,
                source: usize::from(source),
                reading: error.map_or(
                    Ok(Reading {
                        best,
                        finalized,
                        forked,
                    }),
                    Err
                ),
            }),
    ]
}
