//! Image references as people write them: `[registry/]repository[:tag][@digest]`.

/// The registry that Docker asks when a reference names none, as its credentials are filed.
const HUB: &str = "https://index.docker.io/v1/";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// With its registry, as given.
    pub(crate) repository: String,
    pub(crate) tag: Option<String>,
    /// `sha256:…`
    pub(crate) digest: Option<String>,
}

impl Reference {
    /// Never fails: Docker itself judges what is no reference at all.
    pub(crate) fn parse(given: &str) -> Self {
        let (rest, digest) = match given.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (given, None),
        };
        // A colon before the last slash is a registry's port.
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag.to_owned())),
            _ => (rest, None),
        };
        Self {
            repository: repository.to_owned(),
            tag,
            digest,
        }
    }

    /// What decides which image it is: the digest, else the tag. Without either Docker would pull every
    /// tag of the repository.
    pub(crate) fn version(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// The name to look it up by on this host.
    pub(crate) fn name(&self) -> String {
        let separator = if self.digest.is_some() { '@' } else { ':' };
        format!("{}{separator}{}", self.repository, self.version())
    }

    /// The repository as Docker prints it.
    pub(crate) fn familiar(&self) -> &str {
        let hub = self
            .repository
            .strip_prefix("docker.io/")
            .or(self.repository.strip_prefix("index.docker.io/"));
        let rest = hub.unwrap_or(&self.repository);
        rest.strip_prefix("library/").unwrap_or(rest)
    }

    /// The registry that credentials are for.
    pub(crate) fn registry(&self) -> &str {
        match self.repository.split_once('/') {
            Some(("docker.io" | "index.docker.io", _)) | None => HUB,
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
            Some(_) => HUB,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_form_is_understood() {
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
            let reference = Reference::parse(given);
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
    fn dockers_own_registry_goes_unsaid_as_docker_prints_it() {
        assert_eq!(Reference::parse("docker.io/org/node:v1").familiar(), "org/node");
        assert_eq!(Reference::parse("docker.io/library/node").familiar(), "node");
        assert_eq!(Reference::parse("host:5000/node").familiar(), "host:5000/node");
    }
}
