//! Whether this process gets virtual machines from KVM.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;

use kvm_ioctls::Kvm;
use rustix::io::Errno;

use super::host::Host;
use super::report::{Check, Subject};

const ACCESS: Subject = Subject { id: "kvm-access", title: "Access to /dev/kvm" };
const CREATE: Subject = Subject { id: "kvm-create", title: "Creating a virtual machine" };

/// The version of KVM's interface since Linux 2.6.22; no other will ever be.
const API_VERSION: i32 = 12;

/// How far KVM let us go.
pub(super) struct KvmDevice {
    pub(super) path: CString,
    access: io::Result<i32>,
    create: Option<io::Result<()>>,
}

impl KvmDevice {
    /// Opens the device and creates a virtual machine, which is gone on return.
    pub(super) fn try_out(host: &Host) -> Self {
        let path = CString::new(host.path("dev/kvm").as_os_str().as_bytes())
            .expect("a path that names a file has no zero byte");
        let kvm = Kvm::new_with_path(&path).map_err(to_io);
        let access = kvm.as_ref().map(Kvm::get_api_version).map_err(copy);
        let create = match (kvm, &access) {
            (Ok(kvm), Ok(API_VERSION)) => Some(kvm.create_vm().map(drop).map_err(to_io)),
            _ => None,
        };
        Self { path, access, create }
    }

    /// Whether it creates virtual machines.
    pub(super) fn is_usable(&self) -> bool {
        matches!(self.create, Some(Ok(())))
    }

    pub(super) fn check_access(&self) -> Check {
        match &self.access {
            Ok(API_VERSION) => ACCESS.pass("readable and writable, interface version 12"),
            Ok(-1) => ACCESS.fail("is not KVM", "remove the file and load KVM's modules"),
            Ok(version) => ACCESS
                .fail(format!("has interface version {version}, not 12"), "use a stock kernel"),
            Err(error) => ACCESS.fail(error.to_string(), access_remedy(error)),
        }
    }

    pub(super) fn check_create(&self) -> Check {
        match &self.create {
            Some(Ok(())) => CREATE.pass("works"),
            Some(Err(error)) => CREATE.fail(error.to_string(), create_remedy(error)),
            None => CREATE.info("not tried, since KVM cannot be opened"),
        }
    }
}

fn access_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "load KVM's modules; in a container, start it with `--device /dev/kvm`"
        }
        io::ErrorKind::PermissionDenied => {
            "join the group of the device (`usermod -aG kvm USER`, then log in again)"
        }
        _ => "see `dmesg` for what KVM says",
    }
}

fn create_remedy(error: &io::Error) -> &'static str {
    if Errno::from_io_error(error) == Some(Errno::BUSY) {
        "stop the other hypervisor that uses the processor, such as VirtualBox"
    } else {
        "see `dmesg` for what KVM says"
    }
}

fn to_io(error: kvm_ioctls::Error) -> io::Error {
    io::Error::from_raw_os_error(error.errno())
}

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::super::report::Status;
    use super::*;

    fn device(access: io::Result<i32>, create: Option<io::Result<()>>) -> KvmDevice {
        KvmDevice { path: CString::default(), access, create }
    }

    #[test]
    fn a_kvm_that_creates_machines_is_usable() {
        let device = device(Ok(12), Some(Ok(())));
        assert!(device.is_usable());
        assert_eq!(device.check_access().status, Status::Pass);
        assert_eq!(device.check_create().status, Status::Pass);
    }

    #[test]
    fn a_missing_device_fails_and_what_follows_is_not_tried() {
        let device = KvmDevice::try_out(&made_up::host(&[]).host);
        assert!(!device.is_usable());
        assert_eq!(device.check_access().status, Status::Fail);
        assert!(device.check_access().remedy.unwrap().contains("modules"));
        assert_eq!(device.check_create().status, Status::Info);
    }

    #[test]
    fn a_plain_file_is_no_kvm() {
        let device = KvmDevice::try_out(&made_up::host(&[("dev/kvm", "")]).host);
        assert!(!device.is_usable());
        assert_eq!(device.check_access().found, "is not KVM");
    }

    #[test]
    fn permission_and_another_hypervisor_have_their_own_remedies() {
        let denied = device(Err(Errno::ACCESS.into()), None);
        assert!(denied.check_access().remedy.unwrap().contains("usermod"));
        let busy = device(Ok(12), Some(Err(Errno::BUSY.into())));
        assert_eq!(busy.check_create().status, Status::Fail);
        assert!(busy.check_create().remedy.unwrap().contains("VirtualBox"));
    }

    #[test]
    fn an_unknown_interface_version_fails() {
        assert_eq!(device(Ok(13), None).check_access().status, Status::Fail);
    }
}
