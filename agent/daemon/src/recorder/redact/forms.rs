//! Known secrets in the forms in which programs write them.

use std::iter;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use url::form_urlencoded;

use super::arguments::order;

/// Shortest secret whose encoded forms are searched.
const ENCODED_MIN: usize = 8;

/// The secrets and their other forms: within JSON, within JSON in JSON, percent-encoded, and in base64. Longest first.
pub fn with_forms(secrets: Vec<String>) -> Vec<String> {
    let mut all: Vec<String> = secrets
        .iter()
        .filter(|secret| secret.len() >= ENCODED_MIN)
        .flat_map(|s| forms(s))
        .collect();
    all.extend(secrets);
    order(&mut all);
    all
}

fn forms(secret: &str) -> impl Iterator<Item = String> {
    let escaped = escape(secret);
    let plus: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let [standard, url_safe] = [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|engine| engine.encode(secret));
    iter::once(escape(&escaped)).chain([escaped, plus.replace('+', "%20"), plus, standard, url_safe])
}

/// As it stands between the quotes of a JSON string.
fn escape(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_secret_is_known_and_a_short_one_as_it_is() {
        let all = with_forms(vec!["a \"b\"/c d".to_owned(), "p4ss".to_owned()]);
        for form in [
            "a \"b\"/c d",
            "a \\\"b\\\"/c d",
            r#"a \\\"b\\\"/c d"#,
            "a+%22b%22%2Fc+d",
            "a%20%22b%22%2Fc%20d",
            "YSAiYiIvYyBk",
            "p4ss",
        ] {
            assert!(all.iter().any(|known| known == form), "{form} of {all:?}");
        }
        assert_eq!(all.iter().filter(|known| known.len() < 8).count(), 1, "{all:?}");
    }
}
