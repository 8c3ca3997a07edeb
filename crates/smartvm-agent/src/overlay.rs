//! A read-only file system made writable: what the guest writes stays in its memory.

use rustix::mount::{MountFlags, mount};

use crate::failure::Failure;
use crate::root::{ensure_directory, mount_device};

/// Below `/run`, which goes along into the new root, so that the parts of the overlay stay visible
/// to whoever looks for where the guest's memory went.
const PARTS: &str = "/run/smartvm";
const LOWER: &str = "/run/smartvm/lower";
const MEMORY: &str = "/run/smartvm/memory";

/// Mounts `device` read-only and, at `target`, an overlay over it that can be written.
pub(crate) fn mount_under_overlay(device: &str, kind: &str, target: &str) -> Result<(), Failure> {
    for path in [PARTS, LOWER, MEMORY] {
        ensure_directory(path)?;
    }
    mount_device(device, kind, LOWER, MountFlags::RDONLY)?;
    mount("tmpfs", MEMORY, "tmpfs", MountFlags::empty(), Some(c"mode=0755"))
        .map_err(|error| Failure::new("mount the overlay's memory", error))?;
    for part in ["upper", "work"] {
        ensure_directory(&format!("{MEMORY}/{part}"))?;
    }
    let options = c"lowerdir=/run/smartvm/lower,upperdir=/run/smartvm/memory/upper,\
                    workdir=/run/smartvm/memory/work";
    mount("overlay", target, "overlay", MountFlags::empty(), Some(options))
        .map_err(|error| Failure::new("mount the overlay over the root", error))
}
