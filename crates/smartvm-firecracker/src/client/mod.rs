//! The client of Firecracker's API on its Unix socket.
//!
//! * `api_client` holds the one connection and what is known of the other side,
//! * `calls` names the calls that exist, `verbs` makes them,
//! * `admission` refuses what the running version cannot take,
//! * `link` is a connection and the exchange of one request for one answer on it,
//! * `request` writes, `answer` reads, `fault` reads Firecracker's forms of refusal,
//! * `api_error` says what can become of a request.

mod admission;
mod answer;
mod api_client;
mod api_error;
mod calls;
mod connect_error;
mod exchange_error;
mod farewell;
mod fault;
mod link;
mod prompt;
mod request;
mod verbs;

pub use answer::{Answer, AnswerError};
pub use api_client::ApiClient;
pub use api_error::ApiError;
pub use connect_error::ConnectError;
pub use exchange_error::ExchangeError;
