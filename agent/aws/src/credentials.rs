//! The instance role's credentials, from the metadata service, for as long as they hold.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::imds::{Imds, Unknown};

const PATH: &str = "meta-data/iam/security-credentials/";
/// New ones are there five minutes before the old ones end.
const RENEW_BEFORE: Duration = Duration::from_mins(4);

/// Credentials as the metadata service writes them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: Timestamp,
}

/// The instance's role.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) imds: Imds,
    /// With their end.
    known: Option<(Arc<AwsCredential>, Timestamp)>,
}

impl Role {
    pub(super) fn new(imds: Imds) -> Self {
        Self { imds, known: None }
    }

    /// Its credentials, asked for anew when those that are known end soon. Fails when the instance has no role, or the
    /// service does not tell.
    pub(super) async fn credentials(&mut self) -> Result<Arc<AwsCredential>, Unknown> {
        let soon = Timestamp::now() + RENEW_BEFORE;
        if let Some((known, _)) = self.known.as_ref().filter(|(_, end)| *end > soon) {
            return Ok(Arc::clone(known));
        }
        let none = || {
            Unknown::Trouble(
                "the instance has no role: give it an instance profile that allows what docs/ec2.md lists".to_owned(),
            )
        };
        let roles = self.imds.get(PATH).await?.ok_or_else(none)?;
        let mut roles = roles.lines().map(str::trim);
        let role = roles.find(|role| !role.is_empty()).ok_or_else(none)?;
        let found = self.imds.get(&format!("{PATH}{role}")).await?.ok_or_else(none)?;
        let found = serde_json::from_str::<Document>(&found).ok();
        let found = found.filter(|found| is_plain(&found.access_key_id) && is_plain(&found.token));
        // Not repeated: it holds secrets.
        let found = found.ok_or_else(|| Unknown::Trouble("the role's credentials cannot be read".to_owned()))?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id,
            secret_key: found.secret_access_key,
            token: Some(found.token),
        });
        self.known = Some((Arc::clone(&credential), found.expiration));
        Ok(credential)
    }

    /// They were not taken: the next are asked for.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }
}

/// The same for `object_store`.
#[derive(Debug)]
pub(super) struct RoleCredentials(pub(super) Mutex<Role>);

#[async_trait]
impl CredentialProvider for RoleCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self.0.lock().await.credentials().await;
        found.map_err(|error| object_store::Error::Generic {
            store: "S3",
            source: format!("no credentials for S3: {error}").into(),
        })
    }
}

/// Whether a text can stand in a header; the library that signs takes nothing else.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
