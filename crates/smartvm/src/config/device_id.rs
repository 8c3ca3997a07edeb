//! The ids by which devices of one kind are told apart.

use std::collections::HashSet;

use smartvm_firecracker::api::DeviceId;

use super::invalid::Breaches;

/// The longest id that is accepted; Firecracker itself sets no limit.
const MAX_LEN: usize = 64;

/// Checks that `id`, at `path`, can be part of an API path: Firecracker takes letters, digits and `_`.
pub(crate) fn check(id: &str, path: impl Into<String>, breaches: &mut Breaches) {
    breaches.require(
        (1..=MAX_LEN).contains(&id.len())
            && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
        path,
        "must be 1 to 64 letters, digits or `_`",
    );
}

/// The id as Firecracker takes it, once [`check`] found nothing.
pub(crate) fn to_wire(id: &str) -> DeviceId {
    id.parse().expect("a checked id has letters, digits and `_` only")
}

/// Checks that no value comes twice, each given with its path.
pub(super) fn check_unique(
    values: impl IntoIterator<Item = (String, String)>,
    breaches: &mut Breaches,
) {
    let mut seen = HashSet::new();
    for (path, value) in values {
        breaches.require(seen.insert(value), path, "must be unique");
    }
}
