//! The instance role's credentials, from the metadata service, cached until they expire.

use std::sync::Arc;
use std::time::Duration;

use agent_runtime::wall;
use async_trait::async_trait;
use jiff::Timestamp;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::imds::{Imds, ImdsError};
use super::transport::plain;

const PATH: &str = "meta-data/iam/security-credentials/";
/// New ones are available five minutes before the old ones expire.
const RENEW_BEFORE: Duration = Duration::from_mins(4);

/// Length of the longest text of a document that is repeated, characters.
const SAID: usize = 300;

/// Credentials in the metadata service's format.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SecurityCredentials {
    access_key_id: String,
    secret_access_key: String,
    pub(super) token: String,
    expiration: Timestamp,
}

/// What a document without credentials says.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    code: String,
    #[serde(default)]
    message: String,
}

/// The instance's role.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) imds: Imds,
    /// With their expiration.
    cached: Option<(Arc<AwsCredential>, Timestamp)>,
}

impl Role {
    pub(super) fn new(imds: Imds) -> Self {
        Self { imds, cached: None }
    }

    /// The role's credentials, fetched again when the cached ones expire soon. Fails when the instance has no role.
    pub(super) async fn credentials(&mut self) -> Result<Arc<AwsCredential>, ImdsError> {
        let soon = wall::now() + RENEW_BEFORE;
        if let Some((cached, _)) = self.cached.as_ref().filter(|(_, end)| *end > soon) {
            return Ok(Arc::clone(cached));
        }
        let roles = self.imds.get_again(PATH).await?.ok_or(ImdsError::NoRole)?;
        let mut roles = roles.lines().map(str::trim);
        let role = roles.find(|role| !role.is_empty()).ok_or(ImdsError::NoRole)?;
        let document = self.imds.get_again(&format!("{PATH}{role}")).await?;
        let document = document.ok_or(ImdsError::NoRole)?;
        if let Some(refusal) = refusal(role, &document) {
            return Err(refusal);
        }
        let found = serde_json::from_str::<SecurityCredentials>(&document).ok();
        let found = found.filter(|found| is_ascii_graphic(&found.access_key_id) && is_ascii_graphic(&found.token));
        // Not repeated: it holds secrets.
        let found = found.ok_or_else(|| ImdsError::Unavailable("the role's credentials cannot be read".to_owned()))?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id,
            secret_key: found.secret_access_key,
            token: Some(found.token),
        });
        self.cached = Some((Arc::clone(&credential), found.expiration));
        Ok(credential)
    }

    /// Drops the cached credentials, which were rejected.
    pub(super) fn invalidate(&mut self) {
        self.cached = None;
    }
}

/// The error that a role's document reports in place of credentials.
fn refusal(role: &str, document: &str) -> Option<ImdsError> {
    let Refusal { code, message } = serde_json::from_str(document).ok()?;
    let [role, code, message] = [role, &code, &message].map(|text| plain(text, SAID));
    let remedy = match code.as_str() {
        "Success" => return None,
        "AssumeRoleUnauthorizedAccess" => {
            format!("let ec2.amazonaws.com assume the role {role} by its trust policy")
        }
        _ => format!("check the role {role} and the instance profile that names it"),
    };
    Some(ImdsError::RoleRefused { remedy, code, message })
}

/// [`Role`] as `object_store`'s credential provider.
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

/// Whether a text may stand in a header; the signing library accepts nothing else.
pub(super) fn is_ascii_graphic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
