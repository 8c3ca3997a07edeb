//! The table of endpoints: all that Firecracker answers to.

use super::method::Method::{self, Delete, Get, Patch, Put};
use super::since::Since;

const FIRST: Since = Since::FIRST;
const V1_14: Since = Since::V1_14;
const V1_16: Since = Since::V1_16;

/// A method of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path, with `{…}` for the part that names a device.
    pub path: &'static str,
    /// The schema of its body; empty when it has none.
    pub body: &'static str,
    /// Which versions have it.
    pub since: Since,
}

impl Endpoint {
    /// The endpoint that a request is for; none when no known version has it.
    #[must_use]
    pub fn find(method: Method, path: &str) -> Option<&'static Self> {
        ENDPOINTS.iter().find(|row| row.method == method && matches(row.path, path))
    }

    /// Whether Firecracker must run with `--enable-pci` for it.
    #[must_use]
    pub const fn needs_pci(&self) -> bool {
        // Only hotplugged devices can be removed, and those are on the PCI bus.
        matches!(self.method, Delete)
    }
}

fn matches(template: &str, path: &str) -> bool {
    let mut given = path.split('/');
    let fits = template.split('/').all(|wanted| match given.next() {
        Some(part) if wanted.starts_with('{') => !part.is_empty(),
        part => part == Some(wanted),
    });
    fits && given.next().is_none()
}

const fn row(method: Method, path: &'static str, body: &'static str, since: Since) -> Endpoint {
    Endpoint { method, path, body, since }
}

/// Every endpoint, from Firecracker's specification and, for what that leaves out (`DELETE`), its
/// source.
#[rustfmt::skip]
pub const ENDPOINTS: [Endpoint; 41] = [
    row(Get, "/", "", FIRST),
    row(Put, "/actions", "InstanceActionInfo", FIRST),
    row(Get, "/balloon", "", FIRST),
    row(Put, "/balloon", "Balloon", FIRST),
    row(Patch, "/balloon", "BalloonUpdate", FIRST),
    row(Get, "/balloon/statistics", "", FIRST),
    row(Patch, "/balloon/statistics", "BalloonStatsUpdate", FIRST),
    row(Patch, "/balloon/hinting/start", "BalloonStartCmd", V1_14),
    row(Get, "/balloon/hinting/status", "", V1_14),
    row(Patch, "/balloon/hinting/stop", "", V1_14),
    row(Put, "/boot-source", "BootSource", FIRST),
    row(Put, "/cpu-config", "CpuConfig", FIRST),
    row(Put, "/drives/{drive_id}", "Drive", FIRST),
    row(Patch, "/drives/{drive_id}", "PartialDrive", FIRST),
    row(Put, "/pmem/{id}", "Pmem", V1_14),
    row(Patch, "/pmem/{id}", "PartialPmem", V1_16),
    row(Put, "/logger", "Logger", FIRST),
    row(Get, "/machine-config", "", FIRST),
    row(Put, "/machine-config", "MachineConfiguration", FIRST),
    row(Patch, "/machine-config", "MachineConfiguration", FIRST),
    row(Put, "/metrics", "Metrics", FIRST),
    row(Put, "/mmds", "MmdsContentsObject", FIRST),
    row(Patch, "/mmds", "MmdsContentsObject", FIRST),
    row(Get, "/mmds", "", FIRST),
    row(Put, "/mmds/config", "MmdsConfig", FIRST),
    row(Put, "/entropy", "EntropyDevice", FIRST),
    row(Put, "/serial", "SerialDevice", V1_14),
    row(Put, "/hotplug/memory", "MemoryHotplugConfig", V1_14),
    row(Patch, "/hotplug/memory", "MemoryHotplugSizeUpdate", V1_14),
    row(Get, "/hotplug/memory", "", V1_14),
    row(Put, "/network-interfaces/{iface_id}", "NetworkInterface", FIRST),
    row(Patch, "/network-interfaces/{iface_id}", "PartialNetworkInterface", FIRST),
    row(Put, "/snapshot/create", "SnapshotCreateParams", FIRST),
    row(Put, "/snapshot/load", "SnapshotLoadParams", FIRST),
    row(Get, "/version", "", FIRST),
    row(Patch, "/vm", "Vm", FIRST),
    row(Get, "/vm/config", "", FIRST),
    row(Put, "/vsock", "Vsock", FIRST),
    row(Delete, "/drives/{drive_id}", "", V1_16),
    row(Delete, "/pmem/{id}", "", V1_16),
    row(Delete, "/network-interfaces/{iface_id}", "", V1_16),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_finds_its_endpoint() {
        let found = |method, path| Endpoint::find(method, path).map(|endpoint| endpoint.path);
        assert_eq!(found(Get, "/"), Some("/"));
        assert_eq!(found(Put, "/drives/rootfs"), Some("/drives/{drive_id}"));
        assert_eq!(found(Put, "/mmds/config"), Some("/mmds/config"));
        for path in ["", "/drives", "/drives/", "/drives/a/b", "/mmds/", "/nothing"] {
            assert_eq!(found(Put, path), None, "{path}");
        }
        assert_eq!(found(Delete, "/balloon"), None);
    }

    #[test]
    fn no_endpoint_stands_twice() {
        for (index, row) in ENDPOINTS.iter().enumerate() {
            let same = |other: &Endpoint| (other.method, other.path) == (row.method, row.path);
            assert!(!ENDPOINTS[..index].iter().any(same), "{row:?}");
        }
    }
}
