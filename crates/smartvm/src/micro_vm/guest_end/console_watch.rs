//! What a guest's console says of its end.

/// Longest part of a line that is looked at; kernel messages are shorter.
const LINE_LIMIT: usize = 512;

const PANIC: &[u8] = b"Kernel panic - not syncing";
const POWERED_DOWN: [&[u8]; 2] = [b"reboot: Power down", b"reboot: System halted"];

/// Reads the console for signs of the end. Needs bounded memory whatever comes.
#[derive(Debug, Default)]
pub(super) struct ConsoleWatch {
    line: Vec<u8>,
    /// The kernel said that it panicked.
    pub(super) panicked: bool,
    /// The last thing that the kernel said is that it powered down.
    pub(super) powered_down: bool,
}

impl ConsoleWatch {
    /// Takes the next bytes of the console, cut anywhere.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.line.clear();
            } else if byte != b'\r' {
                self.note(byte);
            }
        }
    }

    fn note(&mut self, byte: u8) {
        if self.line.is_empty() {
            // A line after the message means that the kernel is alive.
            self.powered_down = false;
        }
        if self.line.len() < LINE_LIMIT {
            self.line.push(byte);
            self.panicked |= self.line.ends_with(PANIC);
            self.powered_down |= POWERED_DOWN.iter().any(|message| self.line.ends_with(message));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn watch(console: &[u8]) -> ConsoleWatch {
        let mut watch = ConsoleWatch::default();
        watch.feed(console);
        watch
    }

    #[test]
    fn a_powered_down_kernel_is_noticed_by_its_last_line() {
        assert!(watch(b"bye\r\n[    4.2] reboot: Power down\r\n").powered_down);
        assert!(watch(b"[    4.2] reboot: System halted").powered_down);
    }

    #[test]
    fn a_kernel_that_goes_on_talking_has_not_powered_down() {
        assert!(!watch(b"reboot: Power down\r\nlogin: ").powered_down);
        assert!(!watch(b"reboot: Restarting system\r\n").powered_down);
    }

    #[test]
    fn blank_lines_after_the_message_are_no_sign_of_life() {
        assert!(watch(b"reboot: Power down\r\n\r\n").powered_down);
    }

    #[test]
    fn a_panic_is_remembered_whatever_follows() {
        let console = b"[    1.5] Kernel panic - not syncing: VFS: Unable to mount\r\n[    1.6] Rebooting in 1 seconds..\r\n";
        assert!(watch(console).panicked);
        assert!(!watch(b"Kernel panic attacks\n").panicked);
    }

    #[test]
    fn a_line_without_an_end_takes_bounded_memory() {
        let watch = watch(&vec![b'x'; 1 << 20]);
        assert!(watch.line.len() <= LINE_LIMIT);
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_changes_nothing(cut in 0_usize..60) {
            let console = b"[ 1.5] Kernel panic - not syncing: x\r\nreboot: Power down\r\n";
            let mut parts = ConsoleWatch::default();
            parts.feed(&console[..cut.min(console.len())]);
            parts.feed(&console[cut.min(console.len())..]);
            prop_assert!(parts.panicked && parts.powered_down);
        }

        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let watch = watch(&bytes);
            prop_assert!(watch.line.len() <= LINE_LIMIT);
        }
    }
}
