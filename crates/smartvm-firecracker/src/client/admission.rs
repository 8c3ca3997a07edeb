//! What is refused before it is sent.

use super::{ApiClient, ApiError};
use crate::capability::{Endpoint, Method, Requirement, Since, has_news, requirements};

impl ApiClient {
    /// Checks a request against the running version, as far as it is known.
    pub(super) fn admit(
        &self,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<(), ApiError> {
        if let (Some(body), limit) = (body, self.payload_limit)
            && body.len() > limit
        {
            let (path, length) = (path.to_owned(), body.len());
            return Err(ApiError::TooLong { method, path, length, limit });
        }
        let Some(endpoint) = Endpoint::find(method, path) else { return Ok(()) };
        self.admit_endpoint(endpoint, path, body)?;
        if endpoint.needs_pci() { self.admit_pci(method, path) } else { Ok(()) }
    }

    /// Checks that a device can be plugged into the running guest.
    pub(super) fn admit_hotplug(&self, path: &str) -> Result<(), ApiError> {
        let what = format!("PUT {path} after boot");
        let requirement = Requirement { what, since: Since::V1_16 };
        self.admit_requirement(Method::Put, path, requirement)?;
        self.admit_pci(Method::Put, path)
    }

    fn admit_endpoint(
        &self,
        endpoint: &Endpoint,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<(), ApiError> {
        let Some(version) = &self.version else { return Ok(()) };
        if endpoint.since.includes(version) && !has_news(endpoint.body, version) {
            return Ok(());
        }
        // A body that is not JSON is left to Firecracker.
        let body = body.and_then(|body| serde_json::from_slice(body).ok());
        requirements(endpoint.method, path, body.as_ref())
            .into_iter()
            .try_for_each(|requirement| self.admit_requirement(endpoint.method, path, requirement))
    }

    fn admit_requirement(
        &self,
        method: Method,
        path: &str,
        requirement: Requirement,
    ) -> Result<(), ApiError> {
        match &self.version {
            Some(version) if !requirement.is_met_by(version) => {
                let (path, running) = (path.to_owned(), version.as_ref().clone());
                Err(ApiError::TooOld { method, path, requirement, running })
            }
            _ => Ok(()),
        }
    }

    fn admit_pci(&self, method: Method, path: &str) -> Result<(), ApiError> {
        if self.pci == Some(false) {
            return Err(ApiError::NeedsPci { method, path: path.to_owned() });
        }
        Ok(())
    }
}
