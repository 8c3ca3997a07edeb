//! The process, with a program that plays Firecracker: this one, started with its arguments.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is how these tests fail")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

mod cases;
mod fake_firecracker;
mod flood;
mod spawning;

use std::panic::catch_unwind;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if fake_firecracker::is_meant(&arguments) {
        return fake_firecracker::run(&arguments);
    }
    let all = || cases::ALL.iter().chain(spawning::ALL).chain(flood::ALL);
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--list") {
        // As nextest asks: without this it would find no test here, and run none.
        for (name, _) in all().filter(|_| !has("--ignored")) {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let is_meant = |name: &str, filter: &String| match has("--exact") {
        true => name == filter,
        false => name.contains(filter.as_str()),
    };
    let mut failed = 0;
    for (name, case) in all() {
        if filter.is_some_and(|filter| !is_meant(name, filter)) {
            continue;
        }
        let outcome = catch_unwind(case);
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        failed += usize::from(outcome.is_err());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
