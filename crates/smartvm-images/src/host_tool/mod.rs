//! The few programs of the host that make and mend file systems, and the one way they are run.

mod call;
mod confine;
mod filter;
mod find;
mod landlock;

pub use call::HostToolError;
pub(crate) use call::{Answer, ToolCall};
pub use confine::{TOOL_USERS, ToolConfinement};
pub use find::HostTools;
pub(crate) use find::Tool;
