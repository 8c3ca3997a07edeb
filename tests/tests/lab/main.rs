//! Real Linux guests: a distribution's kernel, imported, on root file systems of busybox.
//!
//! Covers: kernel import, base images from a server, bundles that were built, our init with ext4 and
//! squashfs roots, userspace, pause and resume, gentle stops, panics, power-off, devices, jails,
//! snapshots, the doctor's word, the agent and who may speak for it; and WireGuard, with a stand-in and with guests. Runs where KVM runs
//! Linux guests: on this machine if it can, else in the lab.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![expect(clippy::print_stderr, reason = "a guest that had to be booted again is reported")]

mod agent;
mod base_images;
mod boot;
mod built_images;
mod command;
mod devices;
mod doctor;
mod guest;
mod jail;
mod network;
mod opt_in;
mod programs;
mod snapshots;
mod wireguard;
