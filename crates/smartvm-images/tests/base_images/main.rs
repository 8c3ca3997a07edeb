//! Base images: presets over a bucket, hosted manifests, the cache.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod cache;
mod case;
mod hosted;
mod presets;
