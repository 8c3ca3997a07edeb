//! From flags, the configuration file and the kernel store to a [`VmConfig`].
//!
//! The file comes first, flags override it, and `--drive` adds to its drives.

use std::path::{Path, PathBuf};

use smartvm::{DriveConfig, MachineConfig, SmartVmError, VmConfig};
use smartvm_images::base_image::BaseImageBundle;
use smartvm_images::{KernelStore, StoredKernel};

use super::RunArgs;
use super::drive::DriveArg;
use super::job::Job;
use crate::failure::Failure;
use crate::settings::{Settings, absolute};

/// What a guest's kernel is told when nothing else is said: console on the serial port, a
/// reboot or panic ends Firecracker, no search for PCI devices, which are not there.
pub(crate) const DEFAULT_BOOT_ARGS: &str = "console=ttyS0 reboot=k panic=1 pci=off";

/// One vCPU and 128 MiB, Firecracker's own defaults.
const DEFAULT_MACHINE: (u32, u64) = (1, 128);

/// Puts the configuration together; `image` is the base image that was asked for.
///
/// # Errors
/// When the file cannot be read, a kernel is not found, or a path makes no sense.
pub(super) fn assemble(
    args: &RunArgs,
    image: Option<&BaseImageBundle>,
    settings: &Settings,
) -> Result<VmConfig, Failure> {
    let mut config = match &args.config {
        Some(path) => VmConfig::from_file(path).map_err(|error| {
            let error = SmartVmError::from(error);
            Failure::of(&error, error.code(), error.hint())
        })?,
        None => VmConfig {
            machine_config: MachineConfig::new(DEFAULT_MACHINE.0, DEFAULT_MACHINE.1),
            ..VmConfig::default()
        },
    };
    if let Some(image) = image {
        let booting = VmConfig::booting(image);
        config.boot_source = booting.boot_source;
        config.drives.retain(|drive| !drive.is_root_device);
        config.drives.splice(0..0, booting.drives);
    }
    if let Some(id) = &args.id {
        config.id = Some(id.clone());
    }
    if let Some(vcpus) = args.vcpus {
        config.machine_config.vcpu_count = vcpus;
    }
    if let Some(memory) = args.memory {
        config.machine_config.mem_size_mib = memory.0.into();
    }
    args.devices.apply(&mut config)?;
    boot_source(args, settings, &mut config)?;
    drives(args, &mut config.drives)?;
    copies(args, &mut config)?;
    args.jail.apply(&mut config.jail)?;
    if args.job()?.is_some() {
        Job::prepare(&mut config);
    }
    Ok(config)
}

/// The files that console, log and metrics are copied to.
fn copies(args: &RunArgs, config: &mut VmConfig) -> Result<(), Failure> {
    if let Some(path) = &args.console_log {
        config.console_file = Some(absolute(path)?);
    }
    if let Some(path) = &args.log {
        config.logger.get_or_insert_default().log_path = Some(absolute(path)?);
    }
    if let Some(path) = &args.metrics {
        config.metrics.get_or_insert_default().metrics_path = Some(absolute(path)?);
    }
    Ok(())
}

fn boot_source(args: &RunArgs, settings: &Settings, config: &mut VmConfig) -> Result<(), Failure> {
    let boot = &mut config.boot_source;
    let in_file = !boot.kernel_image_path.as_os_str().is_empty();
    if args.kernel.is_some() || !in_file {
        match Kernel::choose(args.kernel.as_deref(), settings)? {
            Kernel::File(path) => boot.kernel_image_path = path,
            Kernel::Stored(kernel) => {
                boot.kernel_image_path = kernel.vmlinux;
                boot.initrd_path = kernel.initramfs.or_else(|| boot.initrd_path.take());
            }
        }
    }
    if let Some(initrd) = &args.initrd {
        boot.initrd_path = Some(absolute(initrd)?);
    }
    if let Some(boot_args) = &args.boot_args {
        boot.boot_args = Some(boot_args.clone());
    }
    let has_pci = config.enable_pci;
    boot.boot_args.get_or_insert_with(|| {
        if has_pci {
            DEFAULT_BOOT_ARGS.replace(" pci=off", "")
        } else {
            DEFAULT_BOOT_ARGS.to_owned()
        }
    });
    Ok(())
}

fn drives(args: &RunArgs, drives: &mut Vec<DriveConfig>) -> Result<(), Failure> {
    if let Some(rootfs) = &args.rootfs {
        let root = DriveConfig {
            drive_id: "rootfs".to_owned(),
            path_on_host: absolute(rootfs)?,
            is_root_device: true,
            is_read_only: Some(args.rootfs_read_only),
            ..DriveConfig::default()
        };
        drives.retain(|drive| !drive.is_root_device);
        drives.insert(0, root);
    } else if args.rootfs_read_only {
        for root in drives.iter_mut().filter(|drive| drive.is_root_device) {
            root.is_read_only = Some(true);
        }
    }
    for arg in &args.drives {
        let id = match &arg.id {
            Some(id) => id.clone(),
            None => free_id(drives, &args.drives),
        };
        drives.push(DriveConfig {
            drive_id: id,
            path_on_host: absolute(&arg.path)?,
            is_read_only: Some(arg.read_only),
            ..DriveConfig::default()
        });
    }
    if args.ephemeral || args.persistent {
        for drive in drives.iter_mut().filter(|drive| drive.is_read_only != Some(true)) {
            drive.ephemeral = Some(args.ephemeral);
        }
    }
    Ok(())
}

/// `drive1`, `drive2`… whichever nobody has or asks for.
fn free_id(drives: &[DriveConfig], args: &[DriveArg]) -> String {
    let taken = |id: &str| {
        drives.iter().any(|drive| drive.drive_id == id)
            || args.iter().any(|arg| arg.id.as_deref() == Some(id))
    };
    let ids = (1_u32..).map(|number| format!("drive{number}"));
    ids.into_iter().find(|id| !taken(id)).unwrap_or_default()
}

/// Where the kernel comes from.
enum Kernel {
    File(PathBuf),
    Stored(Box<StoredKernel>),
}

impl Kernel {
    /// A value with a slash is a path; a bare word is a stored kernel first and a file in
    /// the current directory second; nothing is the newest stored kernel.
    fn choose(asked: Option<&Path>, settings: &Settings) -> Result<Self, Failure> {
        let Some(asked) = asked else {
            return Ok(Self::Stored(Box::new(newest(&settings.kernels()?)?)));
        };
        let bare = asked.components().count() == 1 && !asked.is_absolute() && !has_slash(asked);
        match asked.to_str().filter(|_| bare) {
            None => Ok(Self::File(absolute(asked)?)),
            Some(name) => match settings.kernels()?.get(name) {
                Ok(kernel) => Ok(Self::Stored(Box::new(kernel))),
                Err(_) if asked.is_file() => Ok(Self::File(absolute(asked)?)),
                Err(error) => Err(Failure::of(&error, error.code(), error.hint())),
            },
        }
    }
}

fn has_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().contains(&b'/')
}

fn newest(store: &KernelStore) -> Result<StoredKernel, Failure> {
    let latest = store.latest().map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    latest.ok_or_else(|| {
        Failure::new("KERNEL_NOT_FOUND", "no kernel was given, and none was imported").with_hint(
            "give one with --kernel, or take one in with `smartvm kernel import /boot/vmlinuz-VERSION \
             --modules /lib/modules/VERSION`",
        )
    })
}

#[cfg(test)]
mod tests;
