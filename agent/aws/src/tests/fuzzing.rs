//! Properties of AWS's answers, for any bytes: `make fuzz` looks for bytes that break one.
#![expect(clippy::missing_panics_doc, reason = "a broken property should panic")]

use jiff::Timestamp;
use reqwest::StatusCode;

use crate::credentials::{SecurityCredentials, is_ascii_graphic};
use crate::notices::{NoticeSource, PendingNotices, notice};
use crate::transport::{ErrorResponse, element};
use crate::volumes::{self, Attachment};

/// Longest text of an element that is used, characters.
const ELEMENT: usize = 1024;

/// Documents of the metadata service: each gives notices with a time left, or none.
pub fn metadata_document(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for booted in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        let mut pending = PendingNotices::default();
        for source in NoticeSource::ALL {
            let Some(announced) = source.parse(text) else { continue };
            let is_empty = announced.is_empty();
            pending.record(source, announced, booted);
            assert!(!(is_empty && pending.has_any(source)));
            for now in [Timestamp::UNIX_EPOCH, Timestamp::MIN, Timestamp::MAX] {
                if let Some(found) = pending.most_severe(now) {
                    assert!(found.1.is_some() || notice(found, now).seconds.is_none());
                }
            }
        }
    }
    if let Ok(found) = serde_json::from_str::<SecurityCredentials>(text) {
        is_ascii_graphic(&found.token);
    }
}

/// Answers of the query APIs and of S3: texts are short and without control characters.
pub fn aws_xml(data: &[u8]) {
    let Ok(xml) = std::str::from_utf8(data) else { return };
    for name in ["Code", "Message", "AutoScalingGroupName"] {
        if let Some(text) = element(xml, name) {
            assert!(text.chars().count() <= ELEMENT && !text.contains(char::is_control));
        }
    }
    let error = ErrorResponse::read(StatusCode::BAD_REQUEST, xml);
    assert!(error.to_string().starts_with("400"));
    error.class();
    if let Some(Attachment::Elsewhere(instance)) = volumes::parse(xml, "vol-1", "i-me") {
        assert_ne!(instance, "i-me");
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test may read its fixtures")]
#[path = "../../../../fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
#[test]
fn corpus_of_each_target_keeps_its_properties() {
    corpus::replay("metadata_document", metadata_document);
    corpus::replay("aws_xml", aws_xml);
}
