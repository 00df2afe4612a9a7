//! Image references: `[registry/]repository[:tag][@digest]`.

use std::net::Ipv6Addr;

use crate::error::ValueError;

const IMAGE: &str = "write NAME:TAG or NAME@sha256:…";

/// Docker's default registry, by its name in the credentials.
const HUB: &str = "https://index.docker.io/v1/";

/// The parts of a reference.
#[derive(Debug, PartialEq, Eq)]
pub struct ImageReference {
    /// With its registry, as given.
    pub repository: String,
    tag: Option<String>,
    /// `sha256:…`
    pub digest: Option<String>,
}

impl ImageReference {
    /// Splits a reference without validation, which [`parse_image`] does.
    pub fn parse(given: &str) -> Self {
        let (rest, digest) = match given.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (given, None),
        };
        // A colon before the last slash is a registry's port.
        let name = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match rest[name..].find(':') {
            Some(colon) => (&rest[..name + colon], Some(rest[name + colon + 1..].to_owned())),
            None => (rest, None),
        };
        Self {
            repository: repository.to_owned(),
            tag,
            digest,
        }
    }

    /// The registry's host, if given, and the path there.
    fn host_and_path(&self) -> (Option<&str>, &str) {
        match self.repository.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), path),
            _ => (None, &self.repository),
        }
    }

    /// The digest, else the tag, else `latest`: with none of them Docker would pull every tag of the repository.
    pub fn version(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// The name of the image on this host.
    pub fn name(&self) -> String {
        let separator = if self.digest.is_some() { '@' } else { ':' };
        format!("{}{separator}{}", self.repository, self.version())
    }

    /// The repository as Docker prints it: without the default registry.
    pub fn familiar(&self) -> &str {
        let hub = self
            .repository
            .strip_prefix("docker.io/")
            .or(self.repository.strip_prefix("index.docker.io/"));
        let rest = hub.unwrap_or(&self.repository);
        rest.strip_prefix("library/").unwrap_or(rest)
    }

    /// The registry by its name in the credentials.
    pub fn registry(&self) -> &str {
        match self.host_and_path().0 {
            None | Some("docker.io" | "index.docker.io") => HUB,
            Some(host) => host,
        }
    }
}

/// Reads an image reference: `name:tag`, `registry:5000/name:tag`, `name@sha256:…`.
///
/// A reference with neither tag nor digest gets `:latest`, as in Docker's own commands. Errors name the text and the
/// remedy.
pub fn parse_image(text: &str) -> Result<String, ValueError> {
    let invalid = |what: &str, remedy: &str| Err(ValueError::text(text, what, remedy));
    if text.is_empty() {
        return invalid("is no image", IMAGE);
    }
    if text.contains("://") {
        return invalid("begins with a scheme", "write it without");
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return invalid("contains a blank", IMAGE);
    }
    let reference = ImageReference::parse(text);
    if let Some(digest) = &reference.digest {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return invalid(
                "has no valid digest",
                "write @sha256: and 64 hexadecimal digits in lower case",
            );
        }
    }
    if let Some(tag) = &reference.tag {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let fits = tag.bytes().next().is_some_and(word) && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if !fits || tag.len() > 128 {
            return invalid(
                "has no valid tag",
                "write 1 to 128 letters, digits, dots, dashes or underscores",
            );
        }
    }
    let (host, path) = reference.host_and_path();
    if path.contains(|c: char| c.is_ascii_uppercase()) {
        return invalid("has capital letters in the repository's name", "write them small");
    }
    if !path.split('/').all(is_component) || path.len() > 255 {
        return invalid("is no image reference", IMAGE);
    }
    if !host.is_none_or(is_registry) {
        return invalid("names no valid registry", "write HOST/NAME:TAG or HOST:PORT/NAME:TAG");
    }
    match (&reference.tag, &reference.digest) {
        (None, None) => Ok(format!("{text}:latest")),
        _ => Ok(text.to_owned()),
    }
}

/// Reads the name of a repository: `org/name`, `registry:5000/name`.
pub(crate) fn parse_repository(text: &str) -> Result<String, ValueError> {
    let parsed = ImageReference::parse(&parse_image(text)?);
    if parsed.repository == text {
        Ok(parsed.repository)
    } else {
        let remedy = "write the repository alone, without tag and digest";
        Err(ValueError::text(text, "names an image", remedy))
    }
}

/// `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().ok().filter(|p| *p > 0)),
        _ => (text, Some(443)),
    };
    let ipv6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    port.is_some() && (ipv6.is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()) || is_host(host))
}

/// One part of a repository's name: lower-case letters and digits, joined by `.`, `_`, `__` or dashes.
fn is_component(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_joint = |joint: &str| matches!(joint, "." | "_" | "__") || joint.bytes().all(|b| b == b'-');
    part.starts_with(plain) && part.ends_with(plain) && part.split(plain).all(is_joint)
}

fn is_host(host: &str) -> bool {
    let label = |part: &str| {
        let inside = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inside && !part.is_empty() && !part.starts_with('-') && !part.ends_with('-')
    };
    host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn valid_image_reference_is_read_unchanged() {
        for text in [
            "3h4xx/t0rn-collator:v1.2.0-rc.4",
            "busybox:1",
            "127.0.0.1:5000/t0rn/collator:test",
            "localhost/a:b",
            "registry.example.com/a/b__c/d-e.f:V1.0_x",
            "[::1]:5000/a:1",
            &format!("a@sha256:{HEX}"),
            &format!("127.0.0.1:5000/a:1@sha256:{HEX}"),
        ] {
            assert_eq!(parse_image(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn image_reference_without_a_tag_gets_latest() {
        assert_eq!(parse_image("a/b").as_deref(), Ok("a/b:latest"));
        assert_eq!(
            parse_image("127.0.0.1:5000/a").as_deref(),
            Ok("127.0.0.1:5000/a:latest")
        );
    }

    #[test]
    fn invalid_image_reference_is_refused() {
        for text in [
            "",
            ":",
            "a:",
            "a:-b",
            "A/b:1",
            "a//b:1",
            "a b:1",
            "-a:1",
            "a..b:1",
            "a___b:1",
            "a@sha256:12",
            "a@md5:1",
            "https://a/b:1",
            "h:0/a:1",
            "h:x/a:1",
            "h.:5000/a:1",
            "/a:1",
            "a/:1",
            "ä:1",
        ] {
            assert!(parse_image(text).is_err(), "{text}");
        }
    }

    #[test]
    fn image_reference_in_every_form_is_split() {
        for (given, repository, version, name, registry) in [
            ("node", "node", "latest", "node:latest", HUB),
            ("org/node:v1.2", "org/node", "v1.2", "org/node:v1.2", HUB),
            (
                "localhost/node",
                "localhost/node",
                "latest",
                "localhost/node:latest",
                "localhost",
            ),
            (
                "host:5000/a/node",
                "host:5000/a/node",
                "latest",
                "host:5000/a/node:latest",
                "host:5000",
            ),
            (
                "host:5000/node:v1",
                "host:5000/node",
                "v1",
                "host:5000/node:v1",
                "host:5000",
            ),
            (
                "org/node:v1@sha256:ab",
                "org/node",
                "sha256:ab",
                "org/node@sha256:ab",
                HUB,
            ),
        ] {
            let reference = ImageReference::parse(given);
            assert_eq!(
                (
                    reference.repository.as_str(),
                    reference.version(),
                    reference.name().as_str(),
                    reference.registry()
                ),
                (repository, version, name, registry),
                "{given}"
            );
        }
    }

    #[test]
    fn familiar_name_omits_the_default_registry() {
        assert_eq!(ImageReference::parse("docker.io/org/node:v1").familiar(), "org/node");
        assert_eq!(ImageReference::parse("docker.io/library/node").familiar(), "node");
        assert_eq!(ImageReference::parse("host:5000/node").familiar(), "host:5000/node");
    }

    proptest! {
        #[test]
        fn arbitrary_image_reference_never_panics(text in ".{0,60}") {
            let _ = (parse_image(&text), ImageReference::parse(&text));
        }
    }
}
