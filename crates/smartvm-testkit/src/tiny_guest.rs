//! Guests of a few hundred bytes, assembled by hand.
//!
//! Many machines that open `/dev/kvm` emulate guest code so slowly that no Linux
//! kernel boots on them, yet everything around the guest (process, socket, API,
//! console) can be tested there if the guest is tiny. Each guest is a static ELF
//! linked at 1 MiB, which Firecracker takes as a kernel and enters in 64-bit mode
//! with identity-mapped memory and interrupts off.
//!
//! The serial console is a 16550 at port `0x3f8`; resetting through the keyboard
//! controller (`0xfe` to port `0x64`) makes Firecracker exit with code 0.

mod code;
mod elf;

use std::io;
use std::path::Path;

use code::Code;

/// A guest that fits in a page and does one thing.
///
/// ```
/// use smartvm_testkit::TinyGuest;
///
/// let directory = tempfile::tempdir()?;
/// let kernel = directory.path().join("kernel");
/// TinyGuest::prints_then_resets("hello\n").write_to(&kernel)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct TinyGuest {
    code: Code,
}

impl TinyGuest {
    /// Stops its processor at once and for ever; uses no processor time.
    pub fn halts() -> Self {
        Self { code: Code::default().halt_for_ever() }
    }

    /// Asks for a reset at once: Firecracker ends with code 0.
    pub fn resets() -> Self {
        Self { code: Code::default().reset().halt_for_ever() }
    }

    /// Writes `text` to the serial console, then halts.
    pub fn prints(text: &str) -> Self {
        Self { code: Code::default().print(text).halt_for_ever() }
    }

    /// Writes `text` to the serial console, then resets: Firecracker ends with code 0.
    pub fn prints_then_resets(text: &str) -> Self {
        Self { code: Code::default().print(text).reset().halt_for_ever() }
    }

    /// Sends every byte that arrives on the serial console back.
    ///
    /// It polls, so it keeps one processor of the host busy for as long as it runs.
    pub fn echoes() -> Self {
        Self { code: Code::default().echo_for_ever() }
    }

    /// Writes [`TinyGuest::FLOOD_LINE`] to the serial console for ever, as fast as it can.
    pub fn floods() -> Self {
        let code = Code::default();
        let start = code.position();
        Self { code: code.print(Self::FLOOD_LINE).jump_to(start) }
    }

    /// Runs for ever without touching a device, so that only the host can stop it.
    pub fn spins() -> Self {
        let code = Code::default();
        let start = code.position();
        Self { code: code.jump_to(start) }
    }

    /// The line that [`TinyGuest::floods`] repeats.
    pub const FLOOD_LINE: &str = "all work and no play makes a dull guest\r\n";

    /// The guest as an ELF file.
    #[must_use]
    pub fn to_elf(&self) -> Vec<u8> {
        elf::wrap(self.code.bytes())
    }

    /// Writes the guest to `path`, replacing what was there.
    ///
    /// # Errors
    /// Returns the error of the write, which names the path.
    pub fn write_to(&self, path: &Path) -> io::Result<()> {
        fs_err::write(path, self.to_elf())
    }
}

#[cfg(test)]
mod tests;
