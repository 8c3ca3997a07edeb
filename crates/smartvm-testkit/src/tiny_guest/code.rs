//! The few x86-64 instructions that the tiny guests are made of.
//!
//! Only instructions from before 64-bit mode with their plainest operands: the
//! software that emulates guest code on some hosts knows no others.

/// The data port of the first serial device.
const COM1: u8 = 0xf8;
/// The line status port of the first serial device; bit 0 says that a byte waits.
const COM1_STATUS: u8 = 0xfd;

/// Machine code under construction, position independent.
#[derive(Debug, Clone, Default)]
pub(super) struct Code {
    bytes: Vec<u8>,
}

impl Code {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the next instruction will stand.
    pub(super) fn position(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn halt_for_ever(self) -> Self {
        self.then(&[
            0xfa, // cli
            0xf4, // halt: hlt
            0xeb, 0xfd, // jmp halt
        ])
    }

    pub(super) fn reset(self) -> Self {
        self.then(&[
            0xb0, 0xfe, // mov al, 0xfe
            0xe6, 0x64, // out 0x64, al
        ])
    }

    pub(super) fn print(self, text: &str) -> Self {
        if text.is_empty() {
            return self; // A count of 0 would mean 2^32 below.
        }
        let length = u32::try_from(text.len()).expect("a test's text is shorter than 4 GiB");
        self.then(&[0xe8]) // call after; pushes the address of the text
            .then(&length.to_le_bytes())
            .then(text.as_bytes())
            .then(&[0x5b]) // after: pop rbx
            .then(&[0xb9]) // mov ecx, length
            .then(&length.to_le_bytes())
            .then(&[0xba, COM1, 0x03, 0, 0]) // mov edx, 0x3f8
            .then(&[0x8a, 0x03]) // next: mov al, [rbx]
            .then(&[0xee]) // out dx, al
            .then(&[0x48, 0xff, 0xc3]) // inc rbx
            .then(&[0xff, 0xc9]) // dec ecx
            .then(&[0x75, 0xf6]) // jnz next
    }

    pub(super) fn echo_for_ever(self) -> Self {
        self.then(&[0xba, COM1_STATUS, 0x03, 0, 0]) // poll: mov edx, 0x3fd
            .then(&[0xf3, 0x90]) // pause
            .then(&[0xec]) // in al, dx
            .then(&[0xa8, 0x01]) // test al, 1
            .then(&[0x74, 0xf4]) // jz poll
            .then(&[0xba, COM1, 0x03, 0, 0]) // mov edx, 0x3f8
            .then(&[0xec]) // in al, dx
            .then(&[0xee]) // out dx, al
            .then(&[0xeb, 0xeb]) // jmp poll
    }

    /// Jumps to `target`, a former [`Code::position`].
    pub(super) fn jump_to(self, target: usize) -> Self {
        let next = self.position() + 5;
        let distance = i32::try_from(target).expect("tiny guests are far below 2 GiB")
            - i32::try_from(next).expect("tiny guests are far below 2 GiB");
        self.then(&[0xe9]).then(&distance.to_le_bytes()) // jmp target
    }

    fn then(mut self, more: &[u8]) -> Self {
        self.bytes.extend_from_slice(more);
        self
    }
}
