//! What a microVM boots from: Firecracker's releases, base images, kernels and staged drives.
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
//! * [`stage_drive`] gives a VM a private copy of a drive, shared with the original where the
//!   file system can do that and sparse where it cannot.
//!
//! Every byte that is read is taken for hostile: sizes are capped, offsets are checked, paths
//! cannot leave the directory they were found in, and a failure leaves nothing behind that could be
//! taken for whole. No process is started and nothing is mounted.
//!
//! What is `async` runs in tokio; all else blocks: call it from a thread that may.

mod atomic_file;
pub mod base_image;
mod download;
mod drive;
mod file_lock;
mod kernel;
mod owned_dir;
mod quoted;
mod regular_file;
mod release;
mod sha256_digest;
mod shown_url;

pub use download::{
    Download, DownloadError, Downloaded, Downloader, DownloaderOptions, Progress, ProgressEvent,
    download_into,
};
pub use drive::{StageDriveError, StagedDrive, StagingMethod, stage_drive};
pub use kernel::{
    ImportKernel, ImportKernelError, KernelImage, KernelStore, KernelStoreError, KernelVersion,
    ModuleIndex, ParseImageError, ParseModulesError, StoredKernel, UnpackKernelError,
    VerifyKernelError,
};
pub use owned_dir::OwnedDirError;
pub use regular_file::ReadFileError;
pub use release::{
    ArchiveError, InstalledRelease, InvalidBaseUrl, ParseChecksumError, ParseReleaseVersionError,
    Program, ReleaseArchive, ReleaseError, ReleaseSource, ReleaseStore, ReleaseVersion,
};
pub use sha256_digest::{ParseSha256Error, Sha256Digest};
