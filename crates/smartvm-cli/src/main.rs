//! The `smartvm` command: Firecracker microVMs from a terminal or a script.
//!
//! One file a verb. Every verb returns an [`exit_code::Exit`] or a
//! [`failure::Failure`]; [`printer`] is the only place that prints, [`settings`]
//! the only place that reads the environment.

mod api;
mod args;
mod audit;
mod command;
mod completions;
mod cp;
mod doctor;
mod exec;
mod exit_code;
mod failure;
mod firecracker;
mod guest_program;
mod image;
mod image_size;
mod input;
mod kernel;
mod leaving;
mod logging;
mod metrics;
mod net;
mod owner;
mod printer;
mod progress;
mod rootfs;
mod run;
mod settings;
mod snapshot;
mod version;

fn main() -> std::process::ExitCode {
    command::main().into()
}
