//! Kernels: taking them out of a distribution's image, packing their modules, keeping them.
//!
//! An import goes `container` → `image` → `payload` (→ `compression`) → `elf` → `version` for the kernel and
//! `modules` → `initramfs` (→ `cpio`) for its modules; `import` runs both and hands the results to
//! `store`, whose entries are described by `record`.

mod compression;
mod container;
mod cpio;
mod digest;
mod draft;
mod elf;
mod fields;
mod image;
mod import;
mod initramfs;
mod lz4_legacy;
mod lzop;
mod modules;
mod name;
mod payload;
mod record;
#[cfg(test)]
pub(crate) mod samples;
mod store;
mod version;

pub use container::{OpenContainerError, open_kernel_containers};
pub use image::{KernelImage, ParseImageError};
pub use import::{ImportKernel, ImportKernelError};
pub use modules::{ModuleIndex, ParseModulesError};
pub use payload::UnpackKernelError;
pub use record::{StoredKernel, VerifyKernelError};
pub use store::{KernelStore, KernelStoreError};
pub use version::KernelVersion;
