//! Calls of an AWS API by this instance, as its role: where the API is and what signs, both from the metadata service.

use url::Url;

use super::api::{Api, Failed, Service};
use super::credentials::{Role, is_plain};
use super::imds::{Imds, Unknown};

/// Why a call could not be made or was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Unknown(#[from] Unknown),
    #[error(transparent)]
    Failed(#[from] Failed),
}

#[derive(Debug)]
pub(super) struct Caller {
    service: Service,
    /// The API's address where it is not the region's own.
    endpoint: Option<String>,
    pub(super) role: Role,
    here: Option<Here>,
}

/// What does not change while the instance lives.
#[derive(Debug, Clone)]
struct Here {
    api: Api,
    instance: String,
}

impl Caller {
    /// `imds` is the base of the metadata service.
    pub(super) fn new(service: Service, imds: &str, endpoint: Option<String>) -> Self {
        Self {
            service,
            endpoint,
            role: Role::new(Imds::new(imds)),
            here: None,
        }
    }

    /// This instance's id. Fails while the metadata service does not tell.
    pub(super) async fn instance(&mut self) -> Result<String, Trouble> {
        self.here().await.map(|here| here.instance)
    }

    /// Carries out `action`. Returns the XML of the answer. Credentials that may be to blame are asked for anew the next time.
    pub(super) async fn call(&mut self, action: &str, params: &[(&str, &str)]) -> Result<String, Trouble> {
        let here = self.here().await?;
        let credentials = self.role.credentials().await?;
        let done = here.api.call(&credentials, action, params).await;
        if done.as_ref().is_err_and(|failed| !matches!(failed, Failed::Passing(_))) {
            self.role.forget();
        }
        Ok(done?)
    }

    async fn here(&mut self) -> Result<Here, Trouble> {
        if let Some(here) = &self.here {
            return Ok(here.clone());
        }
        let instance = self.need("meta-data/instance-id").await?;
        let region = self.need("meta-data/placement/region").await?;
        let endpoint = if let Some(endpoint) = &self.endpoint {
            endpoint.clone()
        } else {
            let domain = self.need("meta-data/services/domain").await?;
            format!("https://{}.{region}.{domain}/", self.service.name)
        };
        let url = Url::parse(&endpoint).map_err(|e| Failed::Refused(format!("{endpoint} is no URL: {e}")))?;
        let api = Api::new(url, &region, self.service);
        Ok(self.here.insert(Here { api, instance }).clone())
    }

    async fn need(&mut self, path: &str) -> Result<String, Unknown> {
        let found = self.role.imds.get(path).await?;
        let found = found.ok_or_else(|| Unknown::Trouble(format!("there is no {path}")))?;
        // It goes into headers and addresses.
        let strange = || Unknown::Trouble(format!("its {path} is none"));
        Some(found).filter(|found| is_plain(found)).ok_or_else(strange)
    }
}
