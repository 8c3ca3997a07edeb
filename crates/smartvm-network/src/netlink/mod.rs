//! Talking to the kernel's networking: one blocking socket, one codec.
//!
//! A request is a header of its protocol and attributes; [`AttributeWriter`] makes them and
//! [`Attributes`] reads them. It is our own codec, as rules need one that writes many messages of
//! nftables as one transaction, and a blocking one, as a request takes some microseconds, which is
//! less than a hand-over to another task.

mod attribute;
mod event_socket;
mod message;
mod netlink_error;
mod socket;

pub use attribute::{AttributeWriter, Attributes};
pub use event_socket::{Changes, EventSocket, Told};
pub use message::{Message, Request};
pub use netlink_error::NetlinkError;
pub use socket::{NetlinkSocket, Protocol};
