//! A TAP device for a test.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A TAP device of the host, removed on drop. Needs root.
#[derive(Debug)]
pub struct Tap {
    name: String,
}

impl Tap {
    /// Makes a TAP under a name that no other test has, and brings it up.
    ///
    /// # Panics
    /// When the host does not let us.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // The process' number tells tests apart, which run as processes of their own.
        let name = format!("svt{}x{number}", std::process::id());
        ip(&["tuntap", "add", &name, "mode", "tap"]);
        let tap = Self { name };
        ip(&["link", "set", &tap.name, "up"]);
        tap
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the host an address on it, such as `172.31.0.1/30`.
    ///
    /// # Panics
    /// When the host does not let us.
    #[track_caller]
    pub fn add_address(&self, address: &str) {
        ip(&["addr", "add", address, "dev", &self.name]);
    }
}

impl Default for Tap {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // It is gone already when a test moved it elsewhere.
        let _ = Command::new("ip").args(["link", "del", &self.name]).output();
    }
}

#[track_caller]
fn ip(args: &[&str]) {
    let done = Command::new("ip").args(args).output().expect("a test host has the command `ip`");
    assert!(done.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}
