//! How fast code runs in a guest, found by running some.
//!
//! A KVM that opens and creates machines may still emulate every instruction of the guest's
//! kernel (nested virtualisation without hardware support does), and then no stock Linux boots.
//! Nothing but a guest tells.

mod check;
#[cfg(target_arch = "x86_64")]
mod kick;
#[cfg(target_arch = "x86_64")]
mod machine;
#[cfg(target_arch = "x86_64")]
mod measure;
#[cfg(target_arch = "x86_64")]
mod memory;

pub(super) use check::{check, not_tried};
