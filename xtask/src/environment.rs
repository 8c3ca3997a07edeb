//! The environment variables that `xtask` reads.
//!
//! | variable | says |
//! |---|---|
//! | `PATH` | where programs are |
//! | `CARGO` | the cargo that runs us |
//! | `CARGO_TARGET_DIR` | where cargo builds, when not `target` |
//! | `SMARTVM_RELEASES_URL` | where Firecracker's releases are, when not on its release page |
//! | `SMARTVM_NEWER_FIRECRACKER` | whether the tests that need a newer Firecracker run |
//! | `SMARTVM_*`, `RUST_*`, `NEXTEST_*` | handed to what runs in the lab |

use std::ffi::OsString;

/// The value of a variable.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    #[expect(clippy::disallowed_methods, reason = "this is where the command reads it")]
    std::env::var_os(name)
}

/// The variables that a command in the lab gets from ours.
pub(crate) fn for_the_lab() -> Vec<(String, String)> {
    const NAMES: [&str; 6] = ["PATH", "HOME", "LANG", "CI", "TERM", "CARGO_TERM_COLOR"];
    const PREFIXES: [&str; 3] = ["SMARTVM_", "RUST_", "NEXTEST_"];
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| {
            NAMES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        })
        .collect()
}
