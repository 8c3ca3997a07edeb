//! What the doctor says of versions with known defects.

use smartvm_firecracker::FirecrackerVersion;
use smartvm_firecracker::capability::{KnownDefect, Program};

pub(super) type Defects = Vec<&'static KnownDefect>;

pub(super) fn of_firecracker(version: &FirecrackerVersion) -> Defects {
    KnownDefect::of(Program::Firecracker, version).collect()
}

pub(super) fn of_jailer(version: &FirecrackerVersion) -> Defects {
    KnownDefect::of(Program::Jailer, version).collect()
}

/// The defects in one line.
pub(super) fn describe(defects: &[&KnownDefect]) -> String {
    let each: Vec<String> = defects.iter().map(|d| format!("{}: {}", d.name, d.effect)).collect();
    each.join("; ")
}

/// What to update to, in one line.
pub(super) fn describe_remedy(defects: &[&KnownDefect]) -> String {
    let each: Vec<String> =
        defects.iter().map(|d| format!("{} is fixed in {}", d.name, d.fixed_in)).collect();
    each.join("; ")
}
