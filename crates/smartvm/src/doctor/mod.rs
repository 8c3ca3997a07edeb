//! What this host can do, and what to do about what it cannot.
//!
//! [`examine()`] makes one [`Check`] of each thing that decides whether and how well virtual
//! machines run. Among them is the one that no file tells: how fast guest code really runs, found
//! by running some (`kvm-guest-speed`).
//!
//! A [`DoctorReport`] serialises to JSON with these names, which stay:
//!
//! ```json
//! {
//!   "checks": [{
//!     "id": "kvm-guest-speed",
//!     "title": "Speed of guest code",
//!     "status": "pass",
//!     "found": "2950.4 million instructions a second",
//!     "remedy": null,
//!     "figures": { "instructionsPerSecond": 2950412345 }
//!   }],
//!   "canRunFirecracker": true,
//!   "canRunLinuxGuests": true
//! }
//! ```
//!
//! `status` is one of `pass`, `info`, `warn` and `fail`; `figures` may be empty. Checks are only
//! ever added; `id` says which is which, while `title`, `found` and `remedy` are for people and
//! may be worded anew.

mod architecture;
mod cgroup;
mod console_log;
mod disk_budget;
mod disk_space;
mod examine;
mod firecracker;
mod foreign_firewall;
mod guest_speed;
mod host;
mod host_kernel;
mod host_tools;
mod huge_pages;
mod io_uring;
mod jail;
mod kernel_version;
mod known_bad;
mod ksm;
mod kvm_device;
mod kvm_module;
mod kvm_parameters;
mod mounts;
mod nested;
mod network;
mod open_files;
mod options;
mod private_dir;
mod processor;
mod report;
mod second_level_paging;
mod swap;
mod userfaultfd;
mod version_probe;
mod vulnerabilities;

pub use examine::examine;
pub use options::DoctorOptions;
pub use report::{Check, DoctorReport, Status};
