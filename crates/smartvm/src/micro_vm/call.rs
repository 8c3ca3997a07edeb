//! One API call, made of a Firecracker that may die meanwhile.

use std::future::Future;
use std::time::Duration;

use smartvm_firecracker::{ApiError, FirecrackerProcess};

use crate::smart_vm_error::SmartVmError;

/// Awaits an API call, and tells an answer that never came because Firecracker died from one that
/// went wrong otherwise.
pub(super) async fn call<T>(
    process: &FirecrackerProcess,
    during: &'static str,
    answer: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, SmartVmError> {
    let failed = tokio::select! {
        biased;
        answer = answer => match answer {
            Ok(value) => return Ok(value),
            Err(failed) => failed,
        },
        exit = process.exited() => return Err(SmartVmError::Exited { during, exit }),
    };
    if failed.is_refusal() {
        return Err(SmartVmError::Api { call: during, source: failed });
    }
    // The connection broke: the process is dying as a rule, and then its exit says more.
    match tokio::time::timeout(Duration::from_secs(1), process.exited()).await {
        Ok(exit) => Err(SmartVmError::Exited { during, exit }),
        Err(_) => Err(SmartVmError::of_api(during, failed, Some(process.identity().pid))),
    }
}
