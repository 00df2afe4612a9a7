//! The instance role's credentials, from the metadata service, for as long as they hold.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::imds::{Imds, Unknown};

const PATH: &str = "meta-data/iam/security-credentials/";
/// New ones are there five minutes before the old ones end.
const RENEW_BEFORE: Duration = Duration::from_mins(4);

/// What requests are signed with. Its `Debug` shows no secret.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Credentials {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) token: String,
    expiration: Timestamp,
}

impl Credentials {
    /// Asks for them. Fails when the instance has no role, or the service does not tell.
    async fn get(imds: &mut Imds) -> Result<Self, Unknown> {
        let none = || {
            Unknown::Trouble(
                "the instance has no role: give it an instance profile that allows what docs/ec2.md lists".to_owned(),
            )
        };
        let roles = imds.get(PATH).await?.ok_or_else(none)?;
        let role = roles
            .lines()
            .map(str::trim)
            .find(|role| !role.is_empty())
            .ok_or_else(none)?;
        let found = imds.get(&format!("{PATH}{role}")).await?.ok_or_else(none)?;
        // Not repeated: it holds secrets.
        serde_json::from_str(&found).map_err(|_| Unknown::Trouble("the role's credentials cannot be read".to_owned()))
    }

    /// Whether they still hold for a request or two.
    fn hold(&self, now: Timestamp) -> bool {
        self.expiration.duration_since(now) > RENEW_BEFORE.try_into().unwrap_or_default()
    }
}

/// The instance's role.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) imds: Imds,
    known: Option<Credentials>,
}

impl Role {
    pub(super) fn new(imds: Imds) -> Self {
        Self { imds, known: None }
    }

    /// Its credentials, asked for anew when those that are known end soon.
    pub(super) async fn credentials(&mut self) -> Result<Credentials, Unknown> {
        if let Some(known) = self.known.as_ref().filter(|known| known.hold(Timestamp::now())) {
            return Ok(known.clone());
        }
        let credentials = Credentials::get(&mut self.imds).await?;
        Ok(self.known.insert(credentials).clone())
    }

    /// They were not taken: the next are asked for.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("expiration", &self.expiration)
            .finish_non_exhaustive()
    }
}
