//! `cargo xtask fixtures`: what tests and the demo need besides our own code, in `target/fixtures`.
//!
//! | file | is | from |
//! |---|---|---|
//! | `firecracker`, `jailer` | Firecracker, pinned by SHA-256 | a Python package that ships it |
//! | `kernel/vmlinuz`, `kernel/modules` | the distribution's newest kernel | its package, unpacked |
//! | `busybox` | a static busybox | its package, unpacked |
//! | `rootfs.ext4`, `rootfs.squashfs`, `rootfs.tar.gz` | a small Linux | made of that busybox |
//! | `firewalls` | Docker and firewalld | their packages, unpacked |
//! | `agent` | our static init for guests | this checkout |
//! | `imported` | a kernel store with that kernel | `smartvm kernel import` of this checkout |
//! | `venv` | virtme-ng, pinned, which boots the lab | PyPI |
//!
//! What is there is not fetched again: remove a file to have a newer one.

pub(crate) mod busybox;
pub(crate) mod firecracker;
pub(crate) mod firewalls;
pub(crate) mod kernel;
mod publish;
pub(crate) mod qemu;
pub(crate) mod rootfs;
pub(crate) mod sha256;
pub(crate) mod virtme;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::firecracker::FirecrackerFixture;
use self::kernel::KernelFixture;
use self::rootfs::RootfsFixture;
use crate::dist::{self, Dist};
use crate::run::Run;
use crate::{say, workspace};

/// What a real guest needs.
#[derive(Debug)]
pub(crate) struct GuestFixtures {
    pub(crate) kernel: KernelFixture,
    pub(crate) rootfs: RootfsFixture,
}

/// Makes sure of all fixtures but the lab's own.
pub(crate) fn fixtures() -> anyhow::Result<ExitCode> {
    let firecracker = firecracker::ensure_pinned()?;
    let guest = ensure_guest()?;
    let dist = dist::dist()?;
    let firewalls = firewalls::ensure()?;
    say::result(format!("SMARTVM_FIREWALLS={}", firewalls.display()));
    for (name, value) in variables(&firecracker, &guest, &dist)? {
        say::result(format!("{name}={}", value.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes sure of a kernel and a root file system.
pub(crate) fn ensure_guest() -> anyhow::Result<GuestFixtures> {
    Ok(GuestFixtures { kernel: kernel::ensure()?, rootfs: rootfs::ensure()? })
}

/// The environment variables by which tests find the fixtures.
pub(crate) fn variables(
    firecracker: &FirecrackerFixture,
    guest: &GuestFixtures,
    dist: &Dist,
) -> anyhow::Result<Vec<(&'static str, OsString)>> {
    // Tests that are run by hand look here.
    let agent = workspace::fixtures_dir().join("agent");
    fs_err::copy(&dist.agent, &agent)?;
    let imported = import_kernel(guest, dist, &agent)?;
    Ok(vec![
        ("SMARTVM_FIRECRACKER", firecracker.firecracker.clone().into()),
        ("SMARTVM_JAILER", firecracker.jailer.clone().into()),
        ("SMARTVM_KERNEL_IMAGE", guest.kernel.image.clone().into()),
        ("SMARTVM_KERNEL_MODULES", guest.kernel.modules_dir.clone().into()),
        ("SMARTVM_BUSYBOX", guest.rootfs.busybox.clone().into()),
        ("SMARTVM_ROOTFS_EXT4", guest.rootfs.ext4.clone().into()),
        ("SMARTVM_ROOTFS_SQUASHFS", guest.rootfs.squashfs.clone().into()),
        ("SMARTVM_ROOTFS_TAR", guest.rootfs.tar.clone().into()),
        ("SMARTVM_IMPORTED_KERNELS", imported.into()),
        ("SMARTVM_AGENT", agent.into()),
        ("SMARTVM_COMMAND", dist.smartvm.clone().into()),
    ])
}

/// Imports the kernel anew, as this checkout does it. Here it takes a second; in the lab, and in each
/// test, ten.
fn import_kernel(guest: &GuestFixtures, dist: &Dist, agent: &Path) -> anyhow::Result<PathBuf> {
    let data_dir = workspace::fixtures_dir().join("imported");
    Run::new(&dist.smartvm)
        .arg("--data-dir")
        .arg(&data_dir)
        .args(["kernel", "import"])
        .arg(&guest.kernel.image)
        .arg("--modules")
        .arg(&guest.kernel.modules_dir)
        .arg("--init")
        .arg(agent)
        .quietly()?;
    Ok(data_dir.join("kernels"))
}
