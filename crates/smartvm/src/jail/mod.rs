//! The jail of a VM: a user, a root directory, a PID namespace and limits that are its own.
//!
//! * `config` is what a VM's configuration says of it, `mode` what the manager's options say, and
//!   `plan` what comes of both on this host,
//! * `uid_range` and `lease` find a user that nobody else is,
//! * `chroot` is the directory, `files` what is put into it, `lent` the files given for a time,
//! * `cgroup` limits it, as `open_files` does, and `room` is what it needs itself,
//! * `record` is what removes all of it again, by whichever process, and `bounds` how far it is believed.

mod bounds;
mod cgroup;
mod chroot;
mod config;
mod files;
mod lease;
mod lent;
mod mode;
mod open_files;
mod plan;
mod record;
mod room;
mod uid_range;
mod versions;

pub(crate) use bounds::JailBounds;
pub(crate) use cgroup::is_in_memory;
pub use cgroup::{AppliedLimits, CgroupError};
pub use chroot::ChrootBaseError;
pub(crate) use chroot::{ChrootBase, forbidding_option};
pub use config::{CgroupConfig, IoLimit, JailConfig, ResourceLimitsConfig};
pub(crate) use files::JailFiles;
pub use mode::{Confinement, JailMode, NotJailed};
pub use open_files::TooFewOpenFiles;
pub(crate) use plan::JailPlan;
pub use plan::PlanJailError;
pub use record::MakeJailError;
pub(crate) use record::{Jail, JailRecord};
pub use room::NoRoomForJail;
pub use uid_range::{UidRange, UidRangeError};
pub use versions::JailerVersionError;
