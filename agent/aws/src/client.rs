//! Client of an AWS API with the instance's role: endpoint and credentials come from the metadata service.

use std::collections::BTreeMap;

use url::Url;

use super::api::{Api, ApiError, Service};
use super::consistency::ErrorClass;
use super::credentials::{Role, is_ascii_graphic};
use super::imds::{Imds, ImdsError};

const INSTANCE: &str = "meta-data/instance-id";

/// Why a call could not be made or was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Imds(#[from] ImdsError),
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl CallError {
    /// What it says about the same call a moment later.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Imds(error) => error.class(),
            Self::Api(error) => error.class,
        }
    }
}

#[derive(Debug)]
pub(super) struct AwsClient {
    service: Service,
    /// The API's address where it is not the region's own.
    endpoint: Option<String>,
    pub(super) role: Role,
    /// Documents that do not change during the instance's life. Each is kept by itself: while the metadata service throttles,
    /// not all can be had in one go.
    known: BTreeMap<&'static str, String>,
}

impl AwsClient {
    /// `imds` is the base of the metadata service.
    pub(super) fn new(service: Service, imds: &str, endpoint: Option<String>) -> Self {
        Self {
            service,
            endpoint,
            role: Role::new(Imds::new(imds)),
            known: BTreeMap::new(),
        }
    }

    /// This instance's id.
    pub(super) async fn instance(&mut self) -> Result<String, CallError> {
        Ok(self.required(INSTANCE).await?)
    }

    /// Calls `action`. Returns the response's XML. Credentials that may have caused a failure are fetched again next time.
    pub(super) async fn call(&mut self, action: &str, params: &[(&str, &str)]) -> Result<String, CallError> {
        let api = self.api().await?;
        let credentials = self.role.credentials().await?;
        let done = api.call(&credentials, action, params).await;
        if done.as_ref().is_err_and(|failed| failed.class != ErrorClass::Transient) {
            self.role.invalidate();
        }
        Ok(done?)
    }

    async fn api(&mut self) -> Result<Api, CallError> {
        let region = self.required("meta-data/placement/region").await?;
        let endpoint = if let Some(endpoint) = &self.endpoint {
            endpoint.clone()
        } else {
            let domain = self.required("meta-data/services/domain").await?;
            format!("https://{}.{region}.{domain}/", self.service.name)
        };
        let invalid = |error| ApiError::new(ErrorClass::Permanent, format!("{endpoint} is no URL: {error}"));
        let url = Url::parse(&endpoint).map_err(invalid)?;
        Ok(Api {
            endpoint: url,
            region,
            service: self.service,
        })
    }

    async fn required(&mut self, path: &'static str) -> Result<String, ImdsError> {
        if let Some(known) = self.known.get(path) {
            return Ok(known.clone());
        }
        let found = self.role.imds.get_again(path).await?;
        let found = found.ok_or_else(|| ImdsError::Unavailable(format!("there is no {path}")))?;
        // It goes into headers and URLs.
        let invalid = || ImdsError::Unavailable(format!("its {path} is invalid"));
        let found = Some(found)
            .filter(|found| is_ascii_graphic(found))
            .ok_or_else(invalid)?;
        Ok(self.known.entry(path).or_insert(found).clone())
    }
}
