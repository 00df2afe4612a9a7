//! AWS Signature Version 4 of one request. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use ring::{digest, hmac};

/// What signs.
pub(super) struct Signer<'a> {
    pub(super) access_key: &'a str,
    pub(super) secret_key: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// `20150830T123600Z`, as the header `x-amz-date` wants it.
pub(super) fn amz_date(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

impl Signer<'_> {
    /// The value of the header `authorization`. `headers` are those that are signed: lower case, in the order of their
    /// names, values without white space around them; `date` is the value of `x-amz-date` among them.
    pub(super) fn authorization(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        date: &str,
    ) -> String {
        self.sign(method, (path, ""), headers, &hash(body), date)
    }

    /// As [`Signer::authorization`], with path and query as they are sent, the query's parts in the order of their names,
    /// and with the body's SHA-256 in hexadecimal.
    pub(super) fn sign(
        &self,
        method: &str,
        (path, query): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
        date: &str,
    ) -> String {
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut canonical = format!("{method}\n{path}\n{query}\n");
        for (name, value) in headers {
            // Writing to a string does not fail.
            let _ = writeln!(canonical, "{name}:{value}");
        }
        let _ = write!(canonical, "\n{names}\n{body}");
        let day = date.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let signed = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(canonical.as_bytes()));
        let mut key = mac(format!("AWS4{}", self.secret_key).as_bytes(), day);
        for part in [self.region, self.service, "aws4_request"] {
            key = mac(key.as_ref(), part);
        }
        let signature = hex::encode(mac(key.as_ref(), &signed).as_ref());
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        )
    }
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

pub(super) fn hash(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "20150830T123600Z";

    fn signer() -> Signer<'static> {
        Signer {
            access_key: "AKIDEXAMPLE",
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            service: "service",
        }
    }

    #[test]
    fn the_published_test_suite_is_signed_as_published() {
        let plain = [("host", "example.amazonaws.com"), ("x-amz-date", DATE)];
        let form = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("host", "example.amazonaws.com"),
            ("x-amz-date", DATE),
        ];
        for (name, method, headers, body, signature) in [
            (
                "get-vanilla",
                "GET",
                &plain[..],
                "",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "post-vanilla",
                "POST",
                &plain[..],
                "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-x-www-form-urlencoded",
                "POST",
                &form[..],
                "Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ] {
            let header = signer().authorization(method, "/", headers, body.as_bytes(), DATE);
            let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
            assert_eq!(
                header,
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders={}, Signature={signature}",
                    names.join(";")
                ),
                "{name}"
            );
        }
    }

    #[test]
    fn the_date_is_in_universal_time_without_a_fraction() {
        let at: Timestamp = "2015-08-30T14:36:00.7+02:00".parse().unwrap_or_default();
        assert_eq!(amz_date(at), DATE);
    }
}
