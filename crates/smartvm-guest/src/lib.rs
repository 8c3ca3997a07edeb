//! What runs in a guest, seen from the host: programs, files, forwarded streams, through the agent that is there.
//!
//! A [`Guest`] dials the agent anew for each session. [`Command`] has the shape of [`std::process::Command`]:
//!
//! ```no_run
//! # async fn example(guest: smartvm_guest::Guest) -> Result<(), smartvm_guest::GuestError> {
//! let output = guest.command("make").arg("test").current_dir("/src").output().await?;
//! if !output.status.success() {
//!     println!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is believed
//! Nothing. A guest can make its agent say anything: lengths are bounded before memory is set aside, every answer has a
//! deadline, no word of it becomes a path of the host, and what is shown of it is escaped.
//!
//! # Dropping and cancellation
//! Every future may be dropped. What is dropped closes its connection, and a program whose connection is closed is
//! killed with all that it has started, unless [`Child::detach`] was called.

mod child;
mod command;
mod connection;
mod control;
mod dial;
mod exit_status;
mod files;
mod forward;
mod guest;
mod guest_error;
mod pump;
mod stdio;

pub use child::{Child, Output};
pub use command::{Command, Stdio};
pub use dial::{Dial, Dialling, Unreachable};
pub use exit_status::ExitStatus;
pub use files::{GuestFile, GuestFileWriter, WriteOptions};
pub use forward::Forwarded;
pub use guest::Guest;
pub use guest_error::GuestError;
pub use smartvm_protocol::agent::{Ended, FactsAre as Facts};
pub use smartvm_protocol::shared::{Role, TerminalSize};
pub use stdio::{ChildOutput, ChildStdin};
