//! The program that a confined child lives and dies with, made of a few instructions.
//!
//! It is the first process of the child's PID namespace: when it ends, the kernel ends all others
//! there. It waits until its standard input is closed, which happens when whoever holds the other
//! end is gone, and ends.

/// Where it runs in its own memory.
const ADDRESS: u64 = 0x40_0000;

const HEADER_SIZE: u16 = 64;
const SEGMENT_SIZE: u16 = 56;
const CODE_OFFSET: u64 = (HEADER_SIZE + SEGMENT_SIZE) as u64;

/// `EM_X86_64`, and `read(0, sp, 1); exit_group(0)`.
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = &[
    0x31, 0xc0, // xor eax, eax
    0x31, 0xff, // xor edi, edi
    0x48, 0x89, 0xe6, // mov rsi, rsp
    0xba, 0x01, 0x00, 0x00, 0x00, // mov edx, 1
    0x0f, 0x05, // syscall
    0xb8, 0xe7, 0x00, 0x00, 0x00, // mov eax, 231
    0x31, 0xff, // xor edi, edi
    0x0f, 0x05, // syscall
];

/// `EM_AARCH64`, and the same.
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = &[
    0x00, 0x00, 0x80, 0xd2, // mov x0, #0
    0xe1, 0x03, 0x00, 0x91, // mov x1, sp
    0x22, 0x00, 0x80, 0xd2, // mov x2, #1
    0xe8, 0x07, 0x80, 0xd2, // mov x8, #63
    0x01, 0x00, 0x00, 0xd4, // svc #0
    0x00, 0x00, 0x80, 0xd2, // mov x0, #0
    0xc8, 0x0b, 0x80, 0xd2, // mov x8, #94
    0x01, 0x00, 0x00, 0xd4, // svc #0
];

/// The program as a file: a static ELF.
pub(super) fn guard_program() -> Vec<u8> {
    let size = CODE_OFFSET + CODE.len() as u64;
    let mut file = Vec::with_capacity(256);
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    put16(&mut file, &[2, MACHINE]); // ET_EXEC
    put32(&mut file, &[1]);
    put64(&mut file, &[ADDRESS + CODE_OFFSET, u64::from(HEADER_SIZE), 0]);
    put32(&mut file, &[0]);
    put16(&mut file, &[HEADER_SIZE, SEGMENT_SIZE, 1, 0, 0, 0]);
    put32(&mut file, &[1, 5]); // PT_LOAD, readable and executable
    put64(&mut file, &[0, ADDRESS, ADDRESS, size, size, 0x1_0000]);
    file.extend(CODE);
    file
}

fn put16(file: &mut Vec<u8>, values: &[u16]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn put32(file: &mut Vec<u8>, values: &[u32]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn put64(file: &mut Vec<u8>, values: &[u64]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn it_ends_when_its_input_is_closed_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("guard");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o700).open(&path).unwrap();
        std::io::Write::write_all(&mut file, &guard_program()).unwrap();
        drop(file);
        let mut child = loop {
            match Command::new(&path).stdin(Stdio::piped()).spawn() {
                // A fork of another test holds the file for a moment.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                started => break started.unwrap(),
            }
        };
        assert_eq!(child.try_wait().unwrap(), None);
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}
