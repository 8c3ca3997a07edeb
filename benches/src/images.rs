//! Images: how long it takes until a VM has what it boots from.

mod staging;

/// Measures all of it.
pub(crate) fn run() -> anyhow::Result<()> {
    staging::run()
}
