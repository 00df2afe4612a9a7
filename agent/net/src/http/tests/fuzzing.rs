//! Properties of addresses and pauses that others name, for any bytes: `make fuzz` looks for bytes that break one.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a broken property should panic"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::download::{is_local, literal};
use super::pause;

/// A URL that a server leads to: what reaches this host or its link is known as local in every spelling.
pub fn redirect_target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(url) = Url::parse(text) else { return };
    assert_eq!(Url::parse(url.as_str()).as_ref(), Ok(&url));
    let Some(address) = literal(&url) else { return };
    let name = url.host_str().unwrap_or_default();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    assert_eq!(bare.parse(), Ok(address));
    let v4 = match address {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(v6) => v6.to_ipv4_mapped(),
    };
    let of_host = |v4: Ipv4Addr| matches!(v4.octets(), [0, 0, 0, 0] | [127, ..] | [169, 254, ..]);
    assert!(is_local(address) || !v4.is_some_and(of_host), "{address}");
}

/// The pause that a server asks for: never panics, and the past is no pause.
pub fn retry_after(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let zero = pause(text, Timestamp::MAX);
    let Some(longest) = pause(text, Timestamp::MIN) else {
        return assert_eq!(zero, None);
    };
    assert!(zero.unwrap() <= longest);
    if text.trim().parse::<f64>().is_err() {
        assert_eq!(zero, Some(Duration::ZERO));
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test may read its fixtures")]
#[path = "../../../../../fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
#[test]
fn corpus_of_each_target_keeps_its_properties() {
    corpus::replay("redirect_target", redirect_target);
    corpus::replay("retry_after", retry_after);
}
