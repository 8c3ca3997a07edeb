//! What a configuration needs of Firecracker's version, known before Firecracker is started.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use smartvm_firecracker::api;
use smartvm_firecracker::capability::{
    KnownDefect, Method, Program, Requirement, Since, Use, requirements,
};
use smartvm_firecracker::{FirecrackerBinary, FirecrackerVersion};

use crate::config::VmSpec;
use crate::smart_vm_error::SmartVmError;

/// A Firecracker that does not know what the configuration asks for. Code `FIRECRACKER_TOO_OLD`.
#[derive(Debug, thiserror::Error)]
#[error("{} is Firecracker {version}, and {}", path.display(), list(needs))]
pub struct FirecrackerTooOld {
    /// The program.
    pub path: PathBuf,
    /// Its version.
    pub version: FirecrackerVersion,
    /// The sections of the configuration that need a newer one, each with what it needs.
    pub needs: Vec<(String, Requirement)>,
}

/// Refuses a binary that is too old, or that has a defect which bites here. Its version is asked for
/// only when something is asked of it that not every version has, as that takes a few milliseconds.
pub(super) async fn check(
    binary: &FirecrackerBinary,
    spec: &VmSpec,
    accepted_defects: &[String],
) -> Result<(), SmartVmError> {
    let mut needs = needs_of(spec);
    if needs.is_empty() {
        return Ok(());
    }
    let version = binary.version().await?;
    if spec.config().enable_pci {
        KnownDefect::refuse(Program::Firecracker, &version, Use::Pci, accepted_defects)?;
    }
    needs.retain(|(_, requirement)| !requirement.is_met_by(&version));
    if needs.is_empty() {
        return Ok(());
    }
    Err(FirecrackerTooOld { path: binary.path().to_owned(), version, needs }.into())
}

/// Every section that not every version can carry out.
fn needs_of(spec: &VmSpec) -> Vec<(String, Requirement)> {
    let config = spec.config();
    let mut needs = Needs(Vec::new());
    if config.enable_pci {
        needs.0.push((
            "enablePci".to_owned(),
            Requirement { what: "--enable-pci".to_owned(), since: Since::V1_13 },
        ));
    }
    needs.add("machineConfig", "/machine-config", Some(&spec.machine));
    needs.add("cpuConfig", "/cpu-config", spec.cpu_config.as_ref());
    for (index, device) in config.pmem.iter().enumerate() {
        let device = device.to_wire(PathBuf::new());
        needs.add(&format!("pmem[{index}]"), &format!("/pmem/{}", device.id), Some(&device));
    }
    for (index, interface) in spec.network_interfaces.iter().enumerate() {
        let path = format!("/network-interfaces/{}", interface.iface_id);
        needs.add(&format!("networkInterfaces[{index}]"), &path, Some(interface));
    }
    needs.add("balloon", "/balloon", spec.balloon.as_ref());
    needs.add("mmds", "/mmds/config", spec.mmds.as_ref());
    let serial = config.serial.as_ref().map(|serial| serial.to_wire(""));
    needs.add("serial", "/serial", serial.as_ref());
    let metrics = config.metrics.as_ref().map(|metrics| api::Metrics {
        emit_id: metrics.emit_id,
        properties: (!metrics.properties.is_empty()).then(|| metrics.properties.clone()),
        ..api::Metrics::to("")
    });
    needs.add("metrics", "/metrics", metrics.as_ref());
    needs.add("memoryHotplug", "/hotplug/memory", spec.memory_hotplug.as_ref());
    needs.0
}

struct Needs(Vec<(String, Requirement)>);

impl Needs {
    fn add(&mut self, section: &str, path: &str, body: Option<&impl Serialize>) {
        // A body that cannot be put into words is found out when it is to be sent.
        let body = body.and_then(|body| serde_json::to_value(body).ok());
        if let Some(body @ Value::Object(_)) = body {
            let mut found = requirements(Method::Put, path, Some(&body));
            // A new endpoint says all about the fields that came with it.
            found.dedup_by(|next, former| next.since == former.since);
            self.0.extend(found.into_iter().map(|needed| (section.to_owned(), needed)));
        }
    }
}

fn list(needs: &[(String, Requirement)]) -> String {
    let needs = needs.iter().map(|(section, requirement)| format!("{section}: {requirement}"));
    needs.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::VmConfig;

    fn needs(sections: &str) -> Vec<String> {
        let json = format!(
            r#"{{"bootSource":{{"kernelImagePath":"/k"}},
                "machineConfig":{{"vcpuCount":1,"memSizeMib":128}}{sections}}}"#
        );
        let spec = VmConfig::from_json(&json).unwrap().validate().unwrap();
        needs_of(&spec).iter().map(|(section, what)| format!("{section}: {what}")).collect()
    }

    #[test]
    fn what_every_version_has_needs_no_look_at_the_binary() {
        assert!(needs("").is_empty());
        assert!(
            needs(
                r#","vsock":{"guestCid":3},"balloon":{"amountMib":1},"entropy":{},
                "networkInterfaces":[{"ifaceId":"a","hostDevName":"t"}],
                "mmds":{"networkInterfaces":["a"]},"drives":[{"driveId":"d","pathOnHost":"/d"}]"#
            )
            .is_empty()
        );
    }

    #[test]
    fn each_section_that_is_newer_is_named() {
        assert_eq!(
            needs(
                r#","enablePci":true,"serial":{"rateLimiter":{"size":1,"refillTime":1}},
                "balloon":{"amountMib":1,"freePageHinting":true},
                "networkInterfaces":[{"ifaceId":"a","hostDevName":"t","mtu":1500}],
                "mmds":{"networkInterfaces":["a"],"imdsCompat":true},
                "pmem":[{"id":"p","pathOnHost":"/p"}],"metrics":{"emitId":true},"memoryHotplug":{"totalSizeMib":128}"#
            ),
            [
                "enablePci: --enable-pci needs Firecracker 1.13.0",
                "pmem[0]: PUT /pmem/{id} needs Firecracker 1.14.0",
                "networkInterfaces[0]: mtu needs Firecracker 1.16.0",
                "balloon: free_page_hinting needs Firecracker 1.14.0",
                "mmds: imds_compat needs Firecracker 1.13.0",
                "serial: PUT /serial needs Firecracker 1.14.0",
                "serial: rate_limiter needs Firecracker 1.16.0",
                "metrics: emit_id needs Firecracker 1.17.0",
                "memoryHotplug: PUT /hotplug/memory needs Firecracker 1.14.0",
            ]
        );
    }
}
