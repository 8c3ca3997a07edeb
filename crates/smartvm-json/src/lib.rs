//! JSON that people write, read strictly.
//!
//! * `strict` reads text as a value in which no key stands twice: of two that differ, the last would win in silence,
//! * `read` makes a type of it, and tells everything that does not fit at once,
//! * `position` finds the line of a key.

mod position;
mod read;
mod strict;

pub use read::{Misfit, Read, ReadJsonError, read};
pub use strict::{object, value};
