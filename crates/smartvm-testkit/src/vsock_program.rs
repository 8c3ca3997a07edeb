//! Programs of a few bytes for a Linux guest that speak vsock, which no busybox does.

/// Where the whole file is mapped.
const BASE: u64 = 0x40_0000;
const HEADERS: u64 = 64 + 56;

const READ: u32 = 0;
const WRITE: u32 = 1;
const CLOSE: u32 = 3;
const SOCKET: u32 = 41;
const CONNECT: u32 = 42;
const ACCEPT: u32 = 43;
const BIND: u32 = 49;
const LISTEN: u32 = 50;
const EXIT: u32 = 60;

const AF_VSOCK: u32 = 40;
const SOCK_STREAM: u32 = 1;
/// Any address of the guest's own.
const CID_ANY: u32 = u32::MAX;
/// The host, as a guest calls it.
const CID_HOST: u32 = 2;

/// A static x86-64 program that sends every byte that arrives on a port of its vsock back, one
/// connection after the other, until it is killed.
#[must_use]
pub fn echoes(port: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.socket();
    code.address_call(BIND, CID_ANY, port);
    code.first(&[0x89, 0xdf]).second(1).call(LISTEN); // listen(fd, 1)
    let accept = code.position();
    code.first(&[0x89, 0xdf]).then(&[0x31, 0xf6, 0x31, 0xd2]).call(ACCEPT); // accept(fd, 0, 0)
    code.then(&[0x41, 0x89, 0xc4]); // mov r12d, eax
    let echo = code.position();
    code.first(&[0x44, 0x89, 0xe7]).buffer().call(READ); // read(r12, buffer, 4096)
    code.then(&[0x85, 0xc0]); // test eax, eax
    code.then(&[0x7e, 0]); // jle close
    let close = code.position();
    code.then(&[0x89, 0xc2]); // mov edx, eax
    code.first(&[0x44, 0x89, 0xe7]).buffer_address().call(WRITE);
    code.jump_back(echo);
    code.land(close);
    code.first(&[0x44, 0x89, 0xe7]).call(CLOSE);
    code.jump_back(accept);
    code.into_elf()
}

/// A static x86-64 program that connects to a port of the host, sends `text`, prints what comes
/// back first, and ends.
#[must_use]
pub fn calls(port: u32, text: &str) -> Vec<u8> {
    calls_at(CID_HOST, port, text.as_bytes())
}

/// The same to a port of whoever has a context identifier; 1 is the guest itself.
#[must_use]
pub fn calls_at(cid: u32, port: u32, bytes: &[u8]) -> Vec<u8> {
    let mut code = Code::default();
    code.socket();
    code.address_call(CONNECT, cid, port);
    code.data(bytes);
    code.then(&[0x5e]); // pop rsi
    let length = u32::try_from(bytes.len()).expect("a test's text is shorter than 4 GiB");
    code.first(&[0x89, 0xdf]).third(length).call(WRITE); // write(fd, text, length)
    code.first(&[0x89, 0xdf]).buffer().call(READ); // read(fd, buffer, 4096)
    code.then(&[0x85, 0xc0]); // test eax, eax
    code.then(&[0x7e, 0]); // jle end
    let end = code.position();
    code.then(&[0x89, 0xc2]); // mov edx, eax
    code.then(&[0xbf, 1, 0, 0, 0]).buffer_address().call(WRITE); // write(1, buffer, edx)
    code.land(end);
    code.then(&[0x31, 0xff]).call(EXIT); // exit(0)
    code.into_elf()
}

/// A static x86-64 program that binds to a port of its vsock, and ends with the error number of that.
#[must_use]
pub fn binds(port: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.socket();
    code.address_call(BIND, CID_ANY, port);
    code.then(&[0x89, 0xc7, 0xf7, 0xdf]).call(EXIT); // mov edi, eax; neg edi; exit(edi)
    code.into_elf()
}

/// Machine code under construction.
#[derive(Default)]
struct Code(Vec<u8>);

impl Code {
    fn then(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn position(&self) -> usize {
        self.0.len()
    }

    /// The move that fills edi.
    fn first(&mut self, instruction: &[u8]) -> &mut Self {
        self.then(instruction)
    }

    fn second(&mut self, value: u32) -> &mut Self {
        self.then(&[0xbe]).then(&value.to_le_bytes()) // mov esi, value
    }

    fn third(&mut self, value: u32) -> &mut Self {
        self.then(&[0xba]).then(&value.to_le_bytes()) // mov edx, value
    }

    /// The 4096 bytes below the stack, with their length.
    fn buffer(&mut self) -> &mut Self {
        self.buffer_address().third(4096)
    }

    fn buffer_address(&mut self) -> &mut Self {
        self.then(&[0x48, 0x8d, 0xb4, 0x24, 0x00, 0xe0, 0xff, 0xff]) // lea rsi, [rsp-0x2000]
    }

    fn call(&mut self, number: u32) -> &mut Self {
        self.then(&[0xb8]).then(&number.to_le_bytes()).then(&[0x0f, 0x05]) // mov eax, number; syscall
    }

    /// socket(AF_VSOCK, SOCK_STREAM, 0), kept in ebx.
    fn socket(&mut self) {
        self.then(&[0xbf]).then(&AF_VSOCK.to_le_bytes()); // mov edi, AF_VSOCK
        self.second(SOCK_STREAM).third(0).call(SOCKET);
        self.then(&[0x89, 0xc3]); // mov ebx, eax
    }

    /// A call on the socket with a struct sockaddr_vm.
    fn address_call(&mut self, number: u32, cid: u32, port: u32) {
        let mut address = Vec::from(AF_VSOCK.to_le_bytes()); // the family and a reserved half
        address.extend(port.to_le_bytes());
        address.extend(cid.to_le_bytes());
        address.extend([0; 4]);
        self.data(&address);
        self.then(&[0x5e]); // pop rsi
        self.first(&[0x89, 0xdf]).third(16).call(number);
    }

    /// Puts `data` in between and its address on the stack.
    fn data(&mut self, data: &[u8]) {
        let length = u32::try_from(data.len()).expect("a test's data is shorter than 4 GiB");
        self.then(&[0xe8]).then(&length.to_le_bytes()).then(data); // call after
    }

    fn jump_back(&mut self, target: usize) {
        let distance = i32::try_from(target).expect("the code is short")
            - i32::try_from(self.position() + 5).expect("the code is short");
        self.then(&[0xe9]).then(&distance.to_le_bytes());
    }

    /// Lets the short jump that ends at `after` lead here.
    fn land(&mut self, after: usize) {
        self.0[after - 1] = u8::try_from(self.position() - after).expect("the jump is short");
    }

    /// A static program with one segment that is the whole file.
    fn into_elf(self) -> Vec<u8> {
        let size = HEADERS + self.0.len() as u64;
        let mut elf = Vec::from(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        elf.extend([2, 0, 62, 0, 1, 0, 0, 0]); // ET_EXEC, EM_X86_64, version 1
        elf.extend((BASE + HEADERS).to_le_bytes()); // where it is entered
        elf.extend(64_u64.to_le_bytes()); // where the program header is
        elf.extend([0; 8 + 4]); // no sections, no flags
        elf.extend([64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]); // sizes and numbers of headers
        elf.extend([1, 0, 0, 0, 5, 0, 0, 0]); // PT_LOAD, read and execute
        for value in [0, BASE, BASE, size, size, 4096] {
            elf.extend(value.to_le_bytes());
        }
        elf.extend(self.0);
        elf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_file_is_one_segment_with_the_text_in_it() {
        let elf = calls(53, "hello");
        assert_eq!(&elf[..4], b"\x7fELF");
        assert_eq!(elf[96..104], (elf.len() as u64).to_le_bytes());
        assert!(elf.windows(5).any(|part| part == b"hello"));
    }

    /// No kernel has to know vsock for it: the first call fails, and the last one ends the program.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    #[test]
    fn a_program_that_calls_nobody_ends_by_itself() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("calls");
        fs_err::write(&path, calls(53, "hello")).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        let done = std::process::Command::new(&path).output().unwrap();
        assert_eq!((done.status.code(), done.stdout.as_slice()), (Some(0), &b""[..]));
    }
}
