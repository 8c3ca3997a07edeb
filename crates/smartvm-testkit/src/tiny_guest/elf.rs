//! The smallest ELF file that Firecracker accepts as a kernel.

/// Where Firecracker expects a kernel at the lowest.
pub(super) const LOAD_ADDRESS: u64 = 0x10_0000;

const FILE_HEADER_SIZE: u16 = 64;
const PROGRAM_HEADER_SIZE: u16 = 56;
const CODE_OFFSET: u64 = (FILE_HEADER_SIZE + PROGRAM_HEADER_SIZE) as u64;

/// Wraps `code` in an executable ELF with one segment at [`LOAD_ADDRESS`], entered at its start.
pub(super) fn wrap(code: &[u8]) -> Vec<u8> {
    let mut elf = Vec::new();
    file_header(&mut elf);
    program_header(&mut elf, code.len() as u64);
    elf.extend_from_slice(code);
    elf
}

fn file_header(elf: &mut Vec<u8>) {
    elf.extend_from_slice(b"\x7fELF");
    elf.extend_from_slice(&[2, 1, 1, 0]); // 64-bit, little endian, ELF version 1, System V
    elf.extend_from_slice(&[0; 8]); // padding of e_ident
    half(elf, 2); // e_type: ET_EXEC
    half(elf, 62); // e_machine: EM_X86_64
    word(elf, 1); // e_version
    long(elf, LOAD_ADDRESS); // e_entry
    long(elf, FILE_HEADER_SIZE.into()); // e_phoff: the program header follows
    long(elf, 0); // e_shoff: no sections
    word(elf, 0); // e_flags
    half(elf, FILE_HEADER_SIZE); // e_ehsize
    half(elf, PROGRAM_HEADER_SIZE); // e_phentsize
    half(elf, 1); // e_phnum
    half(elf, 0); // e_shentsize
    half(elf, 0); // e_shnum
    half(elf, 0); // e_shstrndx
}

fn program_header(elf: &mut Vec<u8>, code_size: u64) {
    word(elf, 1); // p_type: PT_LOAD
    word(elf, 7); // p_flags: read, write, execute
    long(elf, CODE_OFFSET); // p_offset
    long(elf, LOAD_ADDRESS); // p_vaddr
    long(elf, LOAD_ADDRESS); // p_paddr
    long(elf, code_size); // p_filesz
    long(elf, code_size); // p_memsz
    long(elf, 8); // p_align
}

fn half(elf: &mut Vec<u8>, value: u16) {
    elf.extend_from_slice(&value.to_le_bytes());
}

fn word(elf: &mut Vec<u8>, value: u32) {
    elf.extend_from_slice(&value.to_le_bytes());
}

fn long(elf: &mut Vec<u8>, value: u64) {
    elf.extend_from_slice(&value.to_le_bytes());
}
