//! What it tells of its guest's memory, which it is to be given through userfaultfd.

use std::ffi::c_void;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use std::{ptr, thread};

unsafe extern "C" {
    fn ioctl(fd: i32, request: u64, ...) -> i32;
    fn mmap(at: *mut c_void, size: usize, rights: i32, how: i32, fd: i32, from: i64)
    -> *mut c_void;
    fn mremap(from: *mut c_void, size: usize, to_size: usize, how: i32, ...) -> *mut c_void;
    fn madvise(from: *mut c_void, size: usize, what: i32) -> i32;
    fn sendmsg(fd: i32, message: *const Message, flags: i32) -> isize;
}

/// `struct msghdr` with one part and its control data.
#[repr(C)]
struct Message {
    name: *const c_void,
    name_length: u32,
    parts: *const Part,
    part_count: usize,
    control: *const c_void,
    control_length: usize,
    flags: i32,
}

#[repr(C)]
struct Part {
    bytes: *const c_void,
    length: usize,
}

/// `USERFAULTFD_IOC_NEW`, `UFFDIO_API` and `UFFDIO_REGISTER`.
const NEW: u64 = 0xaa00;
const API: u64 = 0xc018_aa3f;
const REGISTER: u64 = 0xc020_aa00;
/// `UFFD_FEATURE_EVENT_REMAP` and `UFFD_FEATURE_EVENT_REMOVE`.
const TELLS_MOVES_AND_REMOVALS: u64 = 0b1100;
/// `O_CLOEXEC | O_NONBLOCK`.
const FLAGS: i32 = 0o2_004_000;

const PAGE: usize = 4096;
/// As much as the saved guest had.
const SIZE: usize = 32 << 20;

/// Answers a request to load a snapshot, and returns whether it is to be answered.
pub(crate) fn load(lie: &str, socket: &str) -> bool {
    let stream = UnixStream::connect(socket).unwrap();
    let (uffd, memory) = registered();
    let fd = uffd.as_raw_fd();
    let right = regions(memory, SIZE);
    match lie {
        "uffd-without" => send(&stream, &right, &[]),
        "uffd-pipe" => send(&stream, &right, &[stream.as_raw_fd()]),
        "uffd-many" => send(&stream, &right, &[fd; 200]),
        "uffd-twice" => {
            send(&stream, &right[..20], &[fd]);
            send(&stream, &right[20..], &[fd]);
        }
        "uffd-large" => send(&stream, &regions(memory, 2 * SIZE), &[fd]),
        "uffd-nowhere" => send(&stream, &regions(usize::MAX & !(PAGE - 1), SIZE), &[fd]),
        "uffd-words" => send(&stream, "where the memory is", &[fd]),
        "uffd-endless" => while (&stream).write_all(&[b' '; 64 << 10]).is_ok() {},
        "uffd-slow" => {
            while (&stream).write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(100));
            }
        }
        "uffd-half" => send(&stream, &right[..20], &[fd]),
        "uffd-dies" => {
            send(&stream, &right[..20], &[fd]);
            std::process::abort();
        }
        _ => {
            send(&stream, &right, &[fd]);
            // It is given its memory, so it is believed until now.
            touch(memory);
            let lie = lie.to_owned();
            thread::spawn(move || after_load(&lie, memory));
            // What is handed over is open for as long as a Firecracker lives.
            std::mem::forget((uffd, stream));
            return true;
        }
    }
    // It is not the end of the stream that is looked for.
    std::mem::forget(stream);
    false
}

/// What it does with memory that it has been given.
fn after_load(lie: &str, memory: usize) {
    match lie {
        // A page that was registered, and that it has not told of.
        "uffd-elsewhere" => touch(memory + SIZE),
        "uffd-moves" => {
            // SAFETY: the memory is this program's, and nothing else of it uses it.
            unsafe { mremap(memory as *mut c_void, PAGE, PAGE, 3, memory - SIZE) };
        }
        "uffd-floods" => {
            // Each with pages of its own: removals and faults without an end, from many threads at once.
            for number in 0..8 {
                thread::spawn(move || {
                    loop {
                        let page = memory + number * PAGE;
                        touch(page);
                        // SAFETY: the page is this program's; 4 is MADV_DONTNEED.
                        unsafe { madvise(page as *mut c_void, PAGE, 4) };
                    }
                });
            }
        }
        "uffd-ends" => {
            for number in 1..64 {
                thread::spawn(move || touch(memory + number * PAGE));
            }
            std::process::abort();
        }
        _ => {}
    }
}

/// A userfaultfd, and where memory is of which it tells: twice what the guest has, with as much room before it.
fn registered() -> (OwnedFd, usize) {
    let device = File::open("/dev/userfaultfd").unwrap();
    // SAFETY: the call makes a descriptor that is nobody else's.
    let uffd = unsafe { OwnedFd::from_raw_fd(ioctl(device.as_raw_fd(), NEW, FLAGS)) };
    let mut api = [0xaa_u64, TELLS_MOVES_AND_REMOVALS, 0];
    // SAFETY: the kernel reads and writes the three words of `struct uffdio_api`.
    assert_eq!(unsafe { ioctl(uffd.as_raw_fd(), API, api.as_mut_ptr()) }, 0);
    // SAFETY: it takes memory where nothing is: readable and writable, private and anonymous.
    let memory = unsafe { mmap(ptr::null_mut(), 3 * SIZE, 3, 0x22, -1, 0) } as usize + SIZE;
    let mut range = [memory as u64, 2 * SIZE as u64, 1, 0];
    // SAFETY: the kernel reads and writes the four words of `struct uffdio_register`.
    assert_eq!(unsafe { ioctl(uffd.as_raw_fd(), REGISTER, range.as_mut_ptr()) }, 0);
    (uffd, memory)
}

/// Waits until a page is there.
fn touch(page: usize) {
    // SAFETY: the page was mapped by this program, which never unmaps it.
    unsafe { ptr::read_volatile(page as *const u8) };
}

fn regions(at: usize, size: usize) -> String {
    format!(
        "[{{\"base_host_virt_addr\":{at},\"size\":{size},\"offset\":0,\"page_size\":{PAGE},\"page_size_kib\":{PAGE}}}]"
    )
}

/// Sends text with descriptors.
fn send(stream: &UnixStream, text: &str, descriptors: &[RawFd]) {
    // `struct cmsghdr`: its length, SOL_SOCKET, SCM_RIGHTS; then the descriptors.
    let mut control = vec![0_u64; 2 + descriptors.len().div_ceil(2)];
    control[0] = (16 + 4 * descriptors.len()) as u64;
    control[1] =
        u64::from_ne_bytes([1_i32.to_ne_bytes(), 1_i32.to_ne_bytes()].concat().try_into().unwrap());
    for (index, pair) in descriptors.chunks(2).enumerate() {
        let second = pair.get(1).copied().unwrap_or(0);
        let bytes = [pair[0].to_ne_bytes(), second.to_ne_bytes()].concat();
        control[2 + index] = u64::from_ne_bytes(bytes.try_into().unwrap());
    }
    let part = Part { bytes: text.as_ptr().cast(), length: text.len() };
    let has_control = !descriptors.is_empty();
    let message = Message {
        name: ptr::null(),
        name_length: 0,
        parts: &raw const part,
        part_count: 1,
        control: if has_control { control.as_ptr().cast() } else { ptr::null() },
        control_length: if has_control { 8 * control.len() } else { 0 },
        flags: 0,
    };
    // SAFETY: what the message points to lives until the call returns, with the lengths that it says.
    assert_eq!(unsafe { sendmsg(stream.as_raw_fd(), &raw const message, 0) }, text.len() as isize);
}
