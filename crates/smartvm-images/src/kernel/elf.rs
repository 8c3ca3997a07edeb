//! What must be true of an ELF file before it is given to a guest.

use thiserror::Error;

use super::fields::{le16, le32, le64};

const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const TYPE_EXEC: u16 = 2;
const TYPE_DYN: u16 = 3;
const MACHINE_X86_64: u16 = 62;
const PROGRAM_HEADER: usize = 56;
const SEGMENT_LOAD: u32 = 1;
const SEGMENT_INTERP: u32 = 3;

/// The reason why an ELF file cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum ElfError {
    #[error("it is not an ELF file")]
    NotElf,
    #[error("it is not a 64-bit little-endian ELF file")]
    WrongClass,
    #[error("it is for ELF machine {machine}, not for x86-64 (62)")]
    WrongMachine { machine: u16 },
    #[error("it is not a program: its ELF type is {kind}")]
    NotAProgram { kind: u16 },
    #[error("its program headers are missing or outside of the file")]
    BadProgramHeaders,
    #[error("segment {index} is outside of the file")]
    SegmentOutside { index: usize },
    #[error("it has no segment to load")]
    NothingToLoad,
    #[error("its entry point {entry:#x} is in none of its segments")]
    BadEntry { entry: u64 },
    #[error("it is linked dynamically, and there are no libraries where it runs")]
    Dynamic,
}

/// One program header.
struct Segment {
    kind: u32,
    offset: u64,
    virtual_address: u64,
    physical_address: u64,
    file_size: u64,
    memory_size: u64,
}

/// Checks that the file is an x86-64 kernel whose segments are all there.
pub(super) fn check_kernel(bytes: &[u8]) -> Result<(), ElfError> {
    let segments = check_program(bytes)?;
    let entry = le64(bytes, 0x18).ok_or(ElfError::NotElf)?;
    let holds = |start: u64, size: u64| entry.checked_sub(start).is_some_and(|at| at < size);
    // The kernel's entry is a physical address; other programs have a virtual one.
    let reachable = segments.iter().filter(|segment| segment.kind == SEGMENT_LOAD).any(|segment| {
        holds(segment.physical_address, segment.memory_size)
            || holds(segment.virtual_address, segment.memory_size)
    });
    if reachable { Ok(()) } else { Err(ElfError::BadEntry { entry }) }
}

/// Checks that the file is an x86-64 program that needs no interpreter.
pub(super) fn check_static_program(bytes: &[u8]) -> Result<(), ElfError> {
    let segments = check_program(bytes)?;
    if segments.iter().any(|segment| segment.kind == SEGMENT_INTERP) {
        return Err(ElfError::Dynamic);
    }
    Ok(())
}

fn check_program(bytes: &[u8]) -> Result<Vec<Segment>, ElfError> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err(ElfError::NotElf);
    }
    if bytes.get(4..6) != Some(&[CLASS_64, LITTLE_ENDIAN]) {
        return Err(ElfError::WrongClass);
    }
    let kind = le16(bytes, 0x10).ok_or(ElfError::NotElf)?;
    if kind != TYPE_EXEC && kind != TYPE_DYN {
        return Err(ElfError::NotAProgram { kind });
    }
    let machine = le16(bytes, 0x12).ok_or(ElfError::NotElf)?;
    if machine != MACHINE_X86_64 {
        return Err(ElfError::WrongMachine { machine });
    }
    let segments = program_headers(bytes).ok_or(ElfError::BadProgramHeaders)?;
    let mut loads = 0;
    for (index, segment) in segments.iter().enumerate() {
        if segment.kind != SEGMENT_LOAD {
            continue;
        }
        loads += 1;
        let end = segment.offset.checked_add(segment.file_size);
        let inside = end.is_some_and(|end| end <= bytes.len() as u64);
        if !inside || segment.file_size > segment.memory_size {
            return Err(ElfError::SegmentOutside { index });
        }
    }
    if loads == 0 { Err(ElfError::NothingToLoad) } else { Ok(segments) }
}

fn program_headers(bytes: &[u8]) -> Option<Vec<Segment>> {
    let table = usize::try_from(le64(bytes, 0x20)?).ok()?;
    let size = usize::from(le16(bytes, 0x36)?);
    let count = usize::from(le16(bytes, 0x38)?);
    if size != PROGRAM_HEADER || count == 0 {
        return None;
    }
    let headers = bytes.get(table..table.checked_add(size * count)?)?;
    headers
        .chunks_exact(PROGRAM_HEADER)
        .map(|header| {
            Some(Segment {
                kind: le32(header, 0)?,
                offset: le64(header, 8)?,
                virtual_address: le64(header, 16)?,
                physical_address: le64(header, 24)?,
                file_size: le64(header, 32)?,
                memory_size: le64(header, 40)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::samples;

    #[test]
    fn a_kernel_with_all_its_parts_is_accepted() {
        assert_eq!(check_kernel(&samples::vmlinux("6.1.0-1-test")), Ok(()));
    }

    #[test]
    fn a_file_that_ends_inside_a_segment_is_refused() {
        let kernel = samples::vmlinux("6.1.0-1-test");
        let cut = &kernel[..kernel.len() - 1];
        assert_eq!(check_kernel(cut), Err(ElfError::SegmentOutside { index: 0 }));
    }

    #[test]
    fn every_truncation_is_an_error_and_none_panics() {
        let kernel = samples::vmlinux("6.1.0-1-test");
        for length in 0..kernel.len() {
            assert!(check_kernel(&kernel[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn offsets_that_overflow_are_outside() {
        let mut kernel = samples::vmlinux("6.1.0-1-test");
        kernel[0x40 + 8..0x40 + 16].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(check_kernel(&kernel), Err(ElfError::SegmentOutside { index: 0 }));
        let mut kernel = samples::vmlinux("6.1.0-1-test");
        kernel[0x20..0x28].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(check_kernel(&kernel), Err(ElfError::BadProgramHeaders));
    }

    #[test]
    fn wrong_machine_class_type_and_entry_are_told_apart() {
        let changed = |at: usize, value: &[u8]| {
            let mut kernel = samples::vmlinux("6.1.0-1-test");
            kernel[at..at + value.len()].copy_from_slice(value);
            check_kernel(&kernel).unwrap_err()
        };
        assert_eq!(changed(0x12, &[183, 0]), ElfError::WrongMachine { machine: 183 });
        assert_eq!(changed(4, &[1]), ElfError::WrongClass);
        assert_eq!(changed(0x10, &[1, 0]), ElfError::NotAProgram { kind: 1 });
        assert_eq!(changed(0x18, &[0; 8]), ElfError::BadEntry { entry: 0 });
        assert_eq!(changed(0x40, &[2]), ElfError::NothingToLoad);
    }

    #[test]
    fn a_program_with_an_interpreter_is_no_init() {
        let mut program = samples::vmlinux("6.1.0-1-test");
        assert_eq!(check_static_program(&program), Ok(()));
        // A second header right after the first: the text begins later.
        program[0x38] = 2;
        program[0x78..0x7c].copy_from_slice(&SEGMENT_INTERP.to_le_bytes());
        assert_eq!(check_static_program(&program), Err(ElfError::Dynamic));
    }
}
