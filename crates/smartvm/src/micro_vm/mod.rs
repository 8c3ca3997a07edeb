//! One virtual machine: the handle that callers hold, and the driver that owns the effects.
//!
//! Every VM has one driver task. Handles send it requests and watch what it publishes; only the
//! driver touches the process and the files. So a caller that gives up half-way (a dropped future,
//! a timeout) never leaves half a VM: the driver carries on or undoes.

mod attempt;
mod call;
mod clock;
mod configure;
mod device_file;
mod device_files;
mod device_updates;
mod devices;
mod dir_keeper;
mod driver;
mod files;
mod firewall;
mod guest_end;
mod handle;
mod images;
mod inbox;
mod memory;
mod metadata;
mod outputs;
mod report;
mod request;
mod restore;
mod save;
mod start;
mod stop;
mod telemetry;
mod update;
mod version_gate;

pub use device_updates::{DriveUpdate, NetworkInterfaceUpdate};
pub use handle::MicroVm;
pub(crate) use handle::VmSetup;
pub use report::{EndCause, StartReport, StopReport, VmEnd};
pub use version_gate::FirecrackerTooOld;
