//! The library and the command against the real Firecracker, with guests of a few bytes.
//!
//! Covers: the lifecycle, process death at every moment, bad input, recovery after `kill -9`, the
//! console, devices and their changes, private drives, root file systems, the command. Needs `/dev/kvm` and root's rights on it, nothing of a Linux guest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod api_verb;
mod audit;
mod bad_input;
mod command;
mod conformance;
mod console;
mod devices;
mod disk_budget;
mod faults;
mod guest_socket;
mod held_locks;
mod hostile;
mod images_in_use;
mod jail;
mod known_bad;
mod lifecycle;
mod live_changes;
mod managed_network;
mod manager;
mod output_files;
mod planted_records;
mod process_limits;
mod public_artifacts;
mod recovery;
mod removed_directories;
mod root_file_systems;
mod snapshots;
mod staging;
mod support;
mod sweeps_beside;
mod telemetry;
mod terminal;
mod too_old;
mod wireguard;
