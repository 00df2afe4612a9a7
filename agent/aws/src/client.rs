//! Client of an AWS API with the instance's role: endpoint and credentials come from the metadata service.

use url::Url;

use super::api::{Api, ApiError, Service};
use super::credentials::{Role, is_ascii_graphic};
use super::imds::{Imds, ImdsError};

/// Why a call could not be made or was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Imds(#[from] ImdsError),
    #[error(transparent)]
    Api(#[from] ApiError),
}

#[derive(Debug)]
pub(super) struct AwsClient {
    service: Service,
    /// The API's address where it is not the region's own.
    endpoint: Option<String>,
    pub(super) role: Role,
    /// What does not change during the instance's life.
    api: Option<Api>,
}

impl AwsClient {
    /// `imds` is the base of the metadata service.
    pub(super) fn new(service: Service, imds: &str, endpoint: Option<String>) -> Self {
        Self {
            service,
            endpoint,
            role: Role::new(Imds::new(imds)),
            api: None,
        }
    }

    /// This instance's id.
    pub(super) async fn instance(&mut self) -> Result<String, CallError> {
        self.api().await.map(|api| api.instance)
    }

    /// Calls `action`. Returns the response's XML. Credentials that may have caused a failure are fetched again next time.
    pub(super) async fn call(&mut self, action: &str, params: &[(&str, &str)]) -> Result<String, CallError> {
        let api = self.api().await?;
        let credentials = self.role.credentials().await?;
        let done = api.call(&credentials, action, params).await;
        if done
            .as_ref()
            .is_err_and(|failed| !matches!(failed, ApiError::Transient(_)))
        {
            self.role.invalidate();
        }
        Ok(done?)
    }

    async fn api(&mut self) -> Result<Api, CallError> {
        if let Some(api) = &self.api {
            return Ok(api.clone());
        }
        let instance = self.required("meta-data/instance-id").await?;
        let region = self.required("meta-data/placement/region").await?;
        let endpoint = if let Some(endpoint) = &self.endpoint {
            endpoint.clone()
        } else {
            let domain = self.required("meta-data/services/domain").await?;
            format!("https://{}.{region}.{domain}/", self.service.name)
        };
        let url = Url::parse(&endpoint).map_err(|e| ApiError::Refused(format!("{endpoint} is no URL: {e}")))?;
        let api = Api {
            endpoint: url,
            region,
            service: self.service,
            instance,
        };
        Ok(self.api.insert(api).clone())
    }

    async fn required(&mut self, path: &str) -> Result<String, ImdsError> {
        let found = self.role.imds.get(path).await?;
        let found = found.ok_or_else(|| ImdsError::Unavailable(format!("there is no {path}")))?;
        // It goes into headers and URLs.
        let invalid = || ImdsError::Unavailable(format!("its {path} is invalid"));
        Some(found).filter(|found| is_ascii_graphic(found)).ok_or_else(invalid)
    }
}
