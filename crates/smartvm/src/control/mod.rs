//! Asking the process that owns a VM to do something with it, from another process.
//!
//! The owner serves a socket in the VM's directory, `<runtimeDir>/<id>/control.sock`, mode 0600. A
//! request is one line of JSON, `{"call":"pause"}`, and so is its answer, `{"ok":…}` or
//! `{"error":{"code":…,"message":…,"causes":[…],"hint":…}}`. A connection may make several requests, one
//! after the other. Only the owner's user and root are heard.
//!
//! | call | params | answer |
//! |---|---|---|
//! | `info` | | `id`, `state`, `pid`, `firecrackerVersion` |
//! | `pause`, `resume` | | `state` |
//! | `metrics` | | a [`MetricsSnapshot`](crate::firecracker::MetricsSnapshot) |
//! | `connect-guest` | `port`, `patienceMs` | `port`, and with it the descriptor of the connection |
//! | `snapshot-create` | `name`, `base`, `keepPaused`, all optional | the snapshot's manifest |

mod client;
mod descriptor;
mod guest;
mod request;
mod serve;
mod server;

pub use client::{ControlClient, ControlError};
pub use guest::guest;
pub use request::{ConnectGuestCall, ControlCall, MAX_LINE, SnapshotCreateCall};
pub use server::ControlServer;

use std::path::{Path, PathBuf};

/// Where the control socket of the VM with directory `vm_dir` is.
pub(crate) fn socket_path(vm_dir: &Path) -> PathBuf {
    vm_dir.join("control.sock")
}
