//! For which machine a program was made, read from its first bytes.

use std::io::{self, Read};

/// `e_ident`, `e_type` and `e_machine`.
const HEADER_SIZE: usize = 20;

/// `e_type`: a program linked at a fixed address.
const ET_EXEC: u16 = 2;
/// `e_type`: a program that runs at any address.
const ET_DYN: u16 = 3;

/// The `e_machine` values of the architectures that Firecracker runs on, by Rust's names.
const MACHINES: [(u16, &str); 2] = [(62, "x86_64"), (183, "aarch64")];

/// What kind of file the first bytes make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgramKind {
    /// An ELF program for this machine.
    Native,
    /// An ELF program for another machine, with its name where it is known.
    Foreign(Option<&'static str>),
    /// Anything else, be it a script or an object file.
    NotElf,
}

/// Reads the header of a program; `arch` is named as in [`std::env::consts::ARCH`].
pub(super) fn read_kind(mut file: impl Read, arch: &str) -> io::Result<ProgramKind> {
    let mut header = [0; HEADER_SIZE];
    match file.read_exact(&mut header) {
        Ok(()) => Ok(kind(&header, arch)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(ProgramKind::NotElf),
        Err(error) => Err(error),
    }
}

fn kind(header: &[u8; HEADER_SIZE], arch: &str) -> ProgramKind {
    let [0x7f, b'E', b'L', b'F', class, order, ..] = *header else {
        return ProgramKind::NotElf;
    };
    let number = |at: usize| {
        let bytes = [header[at], header[at + 1]];
        if order == 2 { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    };
    if !matches!(number(16), ET_EXEC | ET_DYN) {
        return ProgramKind::NotElf;
    }
    // A 32-bit or big-endian program is for another machine, whatever its number says.
    let is_64_bit_little_endian = class == 2 && order == 1;
    let machine = MACHINES.iter().find(|(n, _)| *n == number(18)).map(|(_, name)| *name);
    match machine {
        Some(name) if is_64_bit_little_endian && name == arch => ProgramKind::Native,
        _ => ProgramKind::Foreign(machine.filter(|_| is_64_bit_little_endian)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(class: u8, order: u8, kind: u8, machine: u8) -> Vec<u8> {
        let mut bytes = vec![0x7f, b'E', b'L', b'F', class, order, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([kind, 0, machine, 0]);
        bytes
    }

    fn kind_of(bytes: &[u8]) -> ProgramKind {
        read_kind(bytes, "x86_64").unwrap()
    }

    #[test]
    fn knows_a_program_for_this_machine() {
        assert_eq!(kind_of(&header(2, 1, 2, 62)), ProgramKind::Native);
        assert_eq!(kind_of(&header(2, 1, 3, 62)), ProgramKind::Native);
    }

    #[test]
    fn names_the_machine_of_a_foreign_program() {
        assert_eq!(kind_of(&header(2, 1, 2, 183)), ProgramKind::Foreign(Some("aarch64")));
        assert_eq!(kind_of(&header(2, 1, 2, 8)), ProgramKind::Foreign(None));
        assert_eq!(kind_of(&header(1, 1, 2, 62)), ProgramKind::Foreign(None), "the x32 ABI");
    }

    #[test]
    fn a_script_a_short_file_and_an_object_file_are_no_programs() {
        assert_eq!(kind_of(b"#!/bin/sh\nexec firecracker \"$@\"\n"), ProgramKind::NotElf);
        assert_eq!(kind_of(b"\x7fELF"), ProgramKind::NotElf);
        assert_eq!(kind_of(b""), ProgramKind::NotElf);
        assert_eq!(kind_of(&header(2, 1, 1, 62)), ProgramKind::NotElf);
    }

    proptest! {
        #[test]
        fn only_the_right_magic_makes_a_program(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let is_elf = bytes.starts_with(b"\x7fELF");
            prop_assert!(is_elf || kind_of(&bytes) == ProgramKind::NotElf);
        }
    }
}
