//! What each version of Firecracker can do, and what it gets wrong.
//!
//! * [`ENDPOINTS`] and [`FIELDS`] say of all 41 endpoints and 157 fields of the API which versions
//!   have them. [`requirements`] applies them to a request, and
//!   [`ApiClient`](crate::ApiClient) to every request that it sends.
//! * [`KnownDefect`] says which versions must not be used for what.

mod defect;
mod endpoint;
mod field;
mod fields;
mod method;
mod requirement;
mod since;

pub use defect::{KnownBadError, KnownDefect, Program, Use};
pub use endpoint::{ENDPOINTS, Endpoint};
pub use field::{Field, FieldKind};
pub use fields::FIELDS;
pub use method::{Method, ParseMethodError};
pub(crate) use requirement::has_news;
pub use requirement::{Requirement, requirements};
pub use since::Since;
