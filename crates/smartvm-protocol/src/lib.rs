//! What the host and the agent inside a guest say to each other.
//!
//! This crate reads no socket and starts no thread: bytes go in in any pieces, messages come out, and the other way
//! round. The agent builds it into its static program, the host's side into a library; a program that only wants to
//! test either plays the other.
//!
//! # How they meet
//! The agent listens on the guest's virtual socket port [`AGENT_PORT`], which only a privileged process of the guest
//! can take, and takes connections of nobody but the host ([`HOST_CID`]). Then it rings: it connects to the host's
//! port [`DOORBELL_PORT`] and closes. A ring carries no word, since any process of the guest can ring; the host dials
//! [`AGENT_PORT`] when it hears one, and believes only who answers there.
//!
//! # A connection
//! Each connection is one session: a program, a file, a forwarded stream, or questions. The virtual socket gives each
//! its own credit, half-close and reset, so a session whose reader is slow holds up no other.
//!
//! ```text
//! frame   = u32 length of the payload, little-endian | u8 kind | payload
//! field   = u16 tag | u32 length | bytes                       all numbers little-endian
//! payload = fields of a message, in any order; or raw bytes, of Stdin, Stdout, Stderr, Data
//! ```
//! A tag that a reader does not know is skipped; a list is its tag again and again; anything else that comes twice is
//! an error. A length is compared with the limit of its kind before a byte is set aside.
//!
//! # Order
//! The host speaks first and need not wait: `Hello` and the start of its session may come in one piece. Each side's
//! frames have an order of their own, [`Step`] knows both:
//!
//! ```text
//!  host                                                agent
//!  ────                                                ─────
//!  Hello                                               Welcome | Refused ─► (closed)
//!    │                                                    │
//!    ▼  Control                                           ▼  Control
//!  ┌► Ping Facts Shutdown Renew Quiesce Thaw           ┌► Pong FactsAre ShuttingDown Renewed
//!  └──┘  one answer for each, in order                 └──┘ Quiesced Thawed Refused
//!
//!    ▼  Exec, Attach                                      ▼  Exec, Attach
//!  StartExec | StartAttach                             Started | Refused ─► (closed)
//!    │                                                    │
//!  ┌► Stdin* StdinEnd                                  ┌► Stdout Stderr StdinCredit Gap
//!  └► Resize Signal Detach                             └──┘
//!                                                      Exit ─► (closed), always last
//!
//!    ▼  Read                                              ▼  Read
//!  StartRead                                           ReadStarted | Refused
//!                                                      Data* DataEnd | Refused ─► (closed)
//!
//!    ▼  Write                                             ▼  Write
//!  StartWrite                                          WriteStarted | Refused ─► (closed)
//!  Data* DataEnd                                       Written | Refused ─► (closed)
//!
//!    ▼  Forward                                           ▼  Forward
//!  StartForward                                        ForwardStarted | Refused ─► (closed)
//!  raw bytes, no frames                                raw bytes, no frames
//! ```
//! A host that closes, or only shuts down its writing side, before the end of a session is gone: its program is
//! killed unless the start said [`Lost::Keep`], a half-written file goes. Only `Forward` keeps half a connection open.
//!
//! # Flow
//! What the agent sends waits in the virtual socket until the host reads. What a program is given has a window of
//! [`STDIN_WINDOW`] bytes beyond what [`agent::StdinCredit`] has given back, so that a signal is never stuck behind
//! bytes which nobody reads.
//!
//! # Generations
//! The whole of it has one number, [`GENERATION`]; each generation's description is a file in `protocol/` that a test
//! compares with the code. A host speaks every generation, since a snapshot keeps an old agent alive; an agent its own
//! and all before. Both go on with the lower one. What an agent can do within it is told by [`Features`].

mod choice;
mod decoder;
mod endpoint;
mod field;
mod frame;
mod generation;
mod hidden;
mod message;
mod order;
mod refusal;

pub mod agent;
pub mod host;
pub mod shared;

#[cfg(test)]
mod description;
#[cfg(test)]
mod samples;

pub use decoder::{DecodeError, Decoder};
pub use endpoint::{AGENT_PORT, DOORBELL_PORT, HOST_CID};
pub use field::FieldFault;
pub use frame::{
    AgentFrame, AgentKind, Direction, EncodeError, Frame, HEADER, HostFrame, HostKind, MAX_DATA,
};
pub use generation::{Feature, Features, GENERATION, LOWEST_GENERATION, SessionKind};
pub use hidden::Hidden;
pub use message::PayloadError;
pub use order::{OutOfOrder, STDIN_WINDOW, Step};
pub use refusal::{Refusal, RefusalCode};
pub use shared::Lost;
