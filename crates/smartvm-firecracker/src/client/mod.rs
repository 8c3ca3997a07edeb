//! The client of Firecracker's API on its Unix socket.
//!
//! * `api_client` holds the one connection and the generic verbs,
//! * `api_error` says what can become of a request,
//! * `calls` names the calls that exist,
//! * `link` is a connection and the exchange of one request for one answer on it,
//! * `fault` reads Firecracker's forms of refusal.

mod api_client;
mod api_error;
mod calls;
mod fault;
mod link;

pub use api_client::{ApiClient, ConnectError};
pub use api_error::{ApiError, ExchangeError};
