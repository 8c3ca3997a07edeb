//! What a microVM boots from: releases of Firecracker, base images, kernels, root file systems and drives.
//!
//! * [`Downloader`] fetches files: hashed while they come, resumed where they stopped, each of them
//!   once however many want it.
//! * [`ReleaseStore`] keeps Firecracker and its jailer, one directory a version, out of archives that
//!   are checked against their published checksum.
//! * [`base_image`] keeps bundles of a kernel and a root file system, from presets or hosted manifests,
//!   in a cache that several processes may share.
//! * [`KernelStore`] imports a distribution's kernel: it takes the `vmlinux` out of a bzImage,
//!   packs the modules which that kernel needs inside Firecracker into an initramfs, and keeps
//!   both, with their hashes, in a directory of its own.
//! * [`stage_drives`] gives a VM private copies of its drives, shared with the originals where the
//!   file system can do that and sparse where it cannot.
//! * [`build_rootfs`] makes a root file system of a directory or an archive without losing what its
//!   files have, [`create_blank_rootfs`] an empty one, [`clone_rootfs`] and [`resize_rootfs`] do what
//!   they say, and [`build_bundle`] makes what others can serve.
//!
//! Every byte that is read is taken for hostile: sizes are capped, offsets are checked, paths
//! cannot leave the directory they were found in, and a failure leaves nothing behind that could be
//! taken for whole. Nothing is mounted, and only what makes and mends file systems starts a process, which
//! is `mkfs.ext4` and the like.
//!
//! What is `async` runs in tokio; all else blocks: call it from a thread that may.

mod atomic_file;
pub mod base_image;
mod bundle;
mod download;
mod draft_dir;
mod drive;
mod file_lock;
mod free_space;
mod host_tool;
mod image_lock;
mod kernel;
mod live_drafts;
mod quoted;
mod regular_file;
mod release;
mod rootfs;
mod sha256_digest;
mod shown_url;
pub mod signature;
mod verified_files;

pub use bundle::{BuildBundle, BuildBundleError, BuiltBundle, build_bundle, build_signed_bundle};
pub use download::{
    Download, DownloadError, Downloaded, Downloader, DownloaderOptions, Progress, ProgressEvent,
    download_into,
};
pub use draft_dir::sweep_drafts;
pub use drive::{
    GrowingDrives, Growth, StageDrive, StageDriveError, StagedDrive, StagingMethod,
    begin_growing_drives, stage_drive, stage_drives,
};
pub use free_space::FreeSpace;
pub use host_tool::{HostToolError, HostTools, TOOL_USERS, ToolConfinement};
pub use image_lock::{ImageLock, ImageLockError};
pub use kernel::{
    ImportKernel, ImportKernelError, KernelImage, KernelStore, KernelStoreError, KernelVersion,
    ModuleIndex, OpenContainerError, ParseImageError, ParseModulesError, StoredKernel,
    UnpackKernelError, VerifyKernelError, open_kernel_containers,
};
pub use live_drafts::abandon_drafts;
pub use regular_file::ReadFileError;
pub use release::{
    ArchiveError, InstalledRelease, InvalidBaseUrl, ParseChecksumError, ParseReleaseVersionError,
    Program, ReleaseArchive, ReleaseError, ReleaseSource, ReleaseStore, ReleaseVersion,
};
pub use rootfs::{
    BuildRootfs, BuildRootfsError, BuiltRootfs, CloneRootfsError, CreateRootfsError,
    ExamineArchiveError, Ext4Superblock, KeptRootfs, ParseSuperblockError, RemoveRootfsError,
    ResizeRootfsError, ResizeTo, ResizedRootfs, RootfsArchive, build_rootfs, clone_rootfs,
    create_blank_rootfs, list_rootfs, remove_rootfs, resize_rootfs,
};
pub use sha256_digest::{ParseSha256Error, Sha256Digest};
pub use verified_files::{FileStamp, VerifiedFiles};
