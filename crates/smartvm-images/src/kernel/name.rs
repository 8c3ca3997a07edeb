//! The names of stored kernels, which are names of directories too.

use super::store::StoreProblem;

const MAX_NAME: usize = 128;

/// Checks that a name cannot leave the store: `A-Za-z0-9._+~-`, beginning with a letter or digit.
pub(super) fn check_name(name: &str) -> Result<(), StoreProblem> {
    let rule = if name.is_empty() || name.len() > MAX_NAME {
        "it must have 1 to 128 characters"
    } else if !name.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        "it must begin with a letter or digit"
    } else if name.bytes().any(|byte| !byte.is_ascii_alphanumeric() && !b"._+~-".contains(&byte)) {
        "it may have letters, digits and . _ + ~ - only"
    } else {
        return Ok(());
    };
    Err(StoreProblem::InvalidName { name: name.to_owned(), rule })
}
