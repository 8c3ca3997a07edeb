//! Bundles that others can serve: a kernel, a root file system and the manifest that names them.

mod build;
mod kernel_file;

pub use build::{BuildBundle, BuildBundleError, BuiltBundle, build_bundle, build_signed_bundle};
