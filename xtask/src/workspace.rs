//! Where things are in this checkout.

use std::path::{Path, PathBuf};

use crate::environment;

/// The checkout that this `xtask` was built from.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a directory of the workspace")
}

/// Where cargo builds.
pub(crate) fn target_dir() -> PathBuf {
    match environment::variable("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// What was fetched and made for tests and the demo.
pub(crate) fn fixtures_dir() -> PathBuf {
    root().join("target/fixtures")
}

/// What the lab writes; the only place outside its memory that it can write to.
pub(crate) fn lab_dir() -> PathBuf {
    root().join("target/lab")
}

/// The cargo that runs us.
pub(crate) fn cargo() -> PathBuf {
    environment::variable("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
