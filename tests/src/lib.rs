//! Tests that drive the real Firecracker; see `tests/`. `cargo xtask test` runs them.
