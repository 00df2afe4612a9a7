//! What services are sent as credentials: recorded in every form in which they travel, and judged by whose they are.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use url::form_urlencoded;

use crate::http_server::Request;

/// Shortest text that may be the base64 of something.
const ENCODED_MIN: usize = 8;

/// What each service of one test was sent. The words planted are those that identify a credential; whatever else has the
/// form of one is recorded as it is.
#[derive(Debug, Clone, Default)]
pub struct CredentialRecorder {
    planted: Arc<Vec<String>>,
    sent: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>,
}

impl CredentialRecorder {
    /// A recorder that knows these words, each at least eight characters.
    ///
    /// # Errors
    /// One is shorter, or part of another.
    pub fn new(planted: &[&str]) -> Result<Self> {
        for word in planted {
            let within = planted.iter().filter(|other| other.contains(word)).count();
            ensure!(word.len() >= ENCODED_MIN && within == 1, "{word} identifies nothing");
        }
        Ok(Self {
            planted: Arc::new(planted.iter().map(|&word| word.to_owned()).collect()),
            sent: Arc::default(),
        })
    }

    /// Records what this request brought to `service`.
    pub(crate) fn record(&self, service: &str, request: &Request) {
        let mut found: BTreeSet<String> = presented(request).into_iter().map(|text| self.identify(text)).collect();
        // Parts of an upload take seconds to look through.
        if !self.planted.is_empty() {
            let texts = everything(request);
            let is_there = |word: &&String| texts.iter().any(|text| text.contains(*word));
            found.extend(self.planted.iter().filter(is_there).cloned());
        }
        self.sent().entry(service.to_owned()).or_default().extend(found);
    }

    /// The planted word in a credential, else the credential.
    fn identify(&self, text: String) -> String {
        self.planted
            .iter()
            .find(|word| text.contains(*word))
            .cloned()
            .unwrap_or(text)
    }

    /// What `service` was sent so far; `None` when nobody asked it.
    pub fn sent_to(&self, service: &str) -> Option<BTreeSet<String>> {
        self.sent().get(service).cloned()
    }

    /// Every service was sent what is its own and nothing else, with all of its own at least once.
    ///
    /// # Errors
    /// One was sent another's, or an unknown one; or nobody sent it its own, so that the test shows nothing.
    pub fn judge(&self, own: &[(&str, &[&str])]) -> Result<()> {
        for (service, sent) in self.sent().iter() {
            let mine = own
                .iter()
                .filter(|(name, _)| name == service)
                .flat_map(|(_, words)| words.iter());
            let mine: BTreeSet<String> = mine.map(|&word| word.to_owned()).collect();
            let foreign: Vec<_> = sent.difference(&mine).collect();
            ensure!(
                foreign.is_empty(),
                "{service} was sent {foreign:?}, which is not its own"
            );
            let missing: Vec<_> = mine.difference(sent).collect();
            ensure!(missing.is_empty(), "{service} was never sent its own {missing:?}");
        }
        let asked = self.sent();
        let silent: Vec<_> = own
            .iter()
            .filter(|(name, words)| !words.is_empty() && !asked.contains_key(*name))
            .collect();
        ensure!(silent.is_empty(), "never asked: {silent:?}");
        Ok(())
    }

    fn sent(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has the form of a credential, whoever's it is.
fn presented(request: &Request) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in &request.headers {
        let (name, value) = (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned());
        match name {
            "authorization" | "proxy-authorization" => found.push(authorization(&value)),
            "cookie" => found.push(value),
            "x-registry-auth" | "x-registry-config" => found.extend(logins(&value)),
            _ if name.ends_with("-ttl-seconds") || name == "x-amz-content-sha256" => {}
            _ if is_telling(name) => found.push(value),
            _ => {}
        }
    }
    let query = request.uri.query().unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    let telling = pairs.filter(|(name, value)| is_telling(&name.to_ascii_lowercase()) && !value.is_empty());
    found.extend(telling.map(|(_, value)| value.into_owned()));
    let authority = request.uri.authority().map(axum::http::uri::Authority::as_str);
    found.extend(authority.and_then(|text| Some(text.rsplit_once('@')?.0.to_owned())));
    found
}

/// Whether a header or a parameter of this name, in small letters, holds a credential.
fn is_telling(name: &str) -> bool {
    let names = [
        "token",
        "secret",
        "passw",
        "credential",
        "signature",
        "api-key",
        "apikey",
        "key",
        "auth",
        "session",
    ];
    names.iter().any(|part| name.contains(part))
}

/// The user's part of `Authorization`: user and password, bearer, or id of the key that signed.
fn authorization(value: &str) -> String {
    let (scheme, rest) = value.split_once(' ').unwrap_or(("", value));
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => decoded(rest.trim()).unwrap_or_else(|| value.to_owned()),
        "bearer" => rest.trim().to_owned(),
        "aws4-hmac-sha256" => {
            let id = rest
                .split_once("Credential=")
                .and_then(|(_, rest)| rest.split('/').next());
            id.unwrap_or(value).to_owned()
        }
        _ => value.to_owned(),
    }
}

/// The logins in Docker's header, which is an object in base64; an empty one has none.
fn logins(value: &str) -> Vec<String> {
    let Some(object) = decoded(value).and_then(|text| serde_json::from_str::<Value>(&text).ok()) else {
        return vec![value.to_owned()];
    };
    let names = ["username", "password", "auth", "identitytoken", "registrytoken"];
    let mut found = Vec::new();
    let mut open = vec![&object];
    while let Some(Value::Object(fields)) = open.pop() {
        open.extend(fields.values().filter(|value| value.is_object()));
        let texts = names.iter().filter_map(|name| fields.get(*name)?.as_str());
        found.extend(texts.filter(|text| !text.is_empty()).map(str::to_owned));
    }
    found
}

/// All text of a request: as it is, without percent signs, and each part of it that is base64.
fn everything(request: &Request) -> Vec<String> {
    let mut text = format!("{} {}\n", request.method, request.uri);
    for (name, value) in &request.headers {
        text.push_str(name.as_str());
        text.push_str(": ");
        text.push_str(&String::from_utf8_lossy(value.as_bytes()));
        text.push('\n');
    }
    text.push_str(&request.text());
    let plain: String = form_urlencoded::parse(text.as_bytes())
        .flat_map(|(name, value)| [name, value])
        .collect();
    // A slash is one of base64's characters, and parts a path.
    let words = ["+/-_", "+-_"].into_iter().flat_map(|marks| {
        let is_base64 = move |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
        text.split(move |c| !is_base64(c))
            .filter(|word| word.len() >= ENCODED_MIN)
    });
    let inside: Vec<String> = words.filter_map(decoded).collect();
    iter::once(text.clone()).chain([plain]).chain(inside).collect()
}

/// Base64 of either alphabet, padded or not, that is text.
fn decoded(text: &str) -> Option<String> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabets = [STANDARD, URL_SAFE].into_iter();
    let mut bytes = alphabets.filter_map(|alphabet| GeneralPurpose::new(&alphabet, config).decode(text).ok());
    String::from_utf8(bytes.next()?).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    const WORD: &str = "word-of-a";

    fn sent(uri: &str, header: Option<(&'static str, &str)>, body: &str) -> BTreeSet<String> {
        let recorder = CredentialRecorder::new(&[WORD, "word-of-b"]).unwrap();
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let request = Request {
            method: "GET".parse().unwrap(),
            uri: uri.parse().unwrap(),
            headers,
            body: body.to_owned().into(),
        };
        recorder.record("a", &request);
        let found = recorder.sent_to("a").unwrap();
        let is_own = found == BTreeSet::from([WORD.to_owned()]);
        assert_eq!(recorder.judge(&[("a", &[WORD])]).is_ok(), is_own);
        found
    }

    #[test]
    fn credential_of_any_form_is_recorded() {
        let word = BTreeSet::from([WORD.to_owned()]);
        // `user:word-of-a` in base64, and two of Docker's objects.
        for (header, value) in [
            ("authorization", "Basic dXNlcjp3b3JkLW9mLWE="),
            ("proxy-authorization", "basic dXNlcjp3b3JkLW9mLWE="),
            ("authorization", "Bearer word-of-a"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=word-of-a/20260101/r/s3/aws4_request, Signature=aa",
            ),
            ("x-amz-security-token", "word-of-a"),
            ("x-aws-ec2-metadata-token", "word-of-a"),
            ("cookie", "sid=word-of-a"),
            ("x-registry-auth", "eyJwYXNzd29yZCI6IndvcmQtb2YtYSJ9"),
            ("x-registry-config", "eyJoIjp7InBhc3N3b3JkIjoid29yZC1vZi1hIn19"),
            ("x-anything", "word-of-a"),
        ] {
            assert_eq!(sent("/", Some((header, value)), ""), word, "{header}");
        }
        for uri in [
            "/x?token=word-of-a",
            "/hooks/word-of-a",
            "/x/word%2Dof%2Da",
            "/?q=dXNlcjp3b3JkLW9mLWE",
            "http://u:word-of-a@h/",
        ] {
            assert_eq!(sent(uri, None, ""), word, "{uri}");
        }
        assert_eq!(sent("/", None, "chat=word-of-a"), word);
    }

    #[test]
    fn unknown_credential_is_recorded_as_it_is_and_none_as_none() {
        assert_eq!(
            sent("/", Some(("authorization", "Bearer other")), ""),
            ["other".to_owned()].into()
        );
        assert_eq!(sent("/?sessionId=x", None, ""), ["x".to_owned()].into());
        for header in [
            None,
            Some(("x-registry-auth", "e30=")),
            Some(("accept", "*/*")),
            Some(("x-aws-ec2-metadata-token-ttl-seconds", "60")),
        ] {
            assert_eq!(sent("/", header, ""), BTreeSet::new(), "{header:?}");
        }
    }
}
