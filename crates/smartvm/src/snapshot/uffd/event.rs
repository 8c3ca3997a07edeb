//! What the kernel tells through a userfaultfd: `struct uffd_msg` of `linux/userfaultfd.h`.

/// The size of one message.
pub(super) const MESSAGE: usize = 32;

const PAGEFAULT: u8 = 0x12;
const REMOVE: u8 = 0x15;

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The guest waits for the page at this address.
    Fault { address: u64 },
    /// The guest gave these pages back; they read as zeros from now on.
    Remove { start: u64, end: u64 },
    /// What a Firecracker has no reason to do: it forked, or moved or unmapped guest memory.
    Other { kind: u8 },
}

impl Event {
    /// Reads one message.
    pub(super) fn read(message: &[u8; MESSAGE]) -> Self {
        // The kind is followed by seven bytes of padding, then by what belongs to the kind.
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&message[at..at + 8]);
            u64::from_ne_bytes(bytes)
        };
        match message[0] {
            // The first word of a fault is its flags: who wrote or read does not matter to us.
            PAGEFAULT => Self::Fault { address: word(16) },
            REMOVE => Self::Remove { start: word(8), end: word(16) },
            kind => Self::Other { kind },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_the_header_lays_them_out() {
        let mut message = [0; MESSAGE];
        message[0] = PAGEFAULT;
        message[8..16].copy_from_slice(&1_u64.to_ne_bytes());
        message[16..24].copy_from_slice(&0x1234_5000_u64.to_ne_bytes());
        assert_eq!(Event::read(&message), Event::Fault { address: 0x1234_5000 });
        message[0] = REMOVE;
        assert_eq!(Event::read(&message), Event::Remove { start: 1, end: 0x1234_5000 });
        message[0] = 0x13;
        assert_eq!(Event::read(&message), Event::Other { kind: 0x13 });
    }
}
