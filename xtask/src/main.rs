//! `cargo xtask`: the one build tool.
//!
//! Every step installs what it lacks from the package registries, asks nothing, and says what it
//! installs and why. What it makes stays under `target/`.

mod apt;
mod bench;
mod cargo_tool;
mod check;
mod demo;
mod dist;
mod doctor;
mod environment;
mod fixtures;
mod lab;
mod processor;
mod run;
mod say;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about = "Builds, tests and shows SmartVM")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Demo(demo::DemoArgs),
    Test(test::TestArgs),
    Check,
    Lab(lab::LabArgs),
    Fixtures,
    Dist,
    Bench(bench::BenchArgs),
    /// The half of `lab` that runs in the emulated host
    #[command(hide = true)]
    LabInside(lab::inside::LabInsideArgs),
    /// The half of `demo` that runs where KVM runs guests
    #[command(hide = true)]
    DemoGuest(demo::guest::DemoGuestArgs),
}

fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Demo(args) => demo::demo(&args),
        Task::Test(args) => test::test(&args),
        Task::Check => check::check(),
        Task::Lab(args) => lab::lab(&args),
        Task::Fixtures => fixtures::fixtures(),
        Task::Dist => dist::dist().map(|_| ExitCode::SUCCESS),
        Task::Bench(args) => bench::bench(&args),
        Task::LabInside(args) => lab::inside::lab_inside(&args),
        Task::DemoGuest(args) => demo::guest::demo_guest(&args),
    };
    done.unwrap_or_else(|error| {
        say::error(&error);
        ExitCode::FAILURE
    })
}
