//! Asking the kernel for tables, by the options of a raw socket that `iptables-legacy` itself uses.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};

use super::table::{ForwardHook, LegacyTable};
use crate::netlink::NetlinkError;

/// The names of the tables that there are, of the namespace of the thread that asks. To ask for another would make it.
const NAMES: &str = "/proc/thread-self/net/ip_tables_names";
/// `IPT_SO_GET_INFO` and `IPT_SO_GET_ENTRIES`.
const GET_INFO: libc::c_int = 64;
const GET_ENTRIES: libc::c_int = 65;
/// The length of a table's name.
const NAME: usize = 32;
/// The length of an `ipt_getinfo`.
const INFO: usize = 84;
/// The length of an `ipt_get_entries` before the entries.
const ENTRIES: usize = 40;
/// `NF_INET_FORWARD`, the number of the hook.
const FORWARD: usize = 2;
/// A larger table is not looked at.
const LONGEST: usize = 32 << 20;
/// How often a table is asked for again that changed meanwhile.
const TRIES: usize = 20;

/// The tables that forwarded packets pass. Nothing is made: where there are no rules of iptables-legacy, there are none.
pub(in super::super) fn tables() -> Result<Vec<LegacyTable>, NetlinkError> {
    let failed = |source| NetlinkError::new("list the rules of", "iptables-legacy", source);
    let names = match fs_err::read_to_string(NAMES) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    if names.trim().is_empty() {
        return Ok(Vec::new());
    }
    let socket = || {
        let (flags, raw) = (SocketFlags::CLOEXEC, Some(ipproto::RAW));
        socket_with(AddressFamily::INET, SocketType::RAW, flags, raw)
    };
    let socket = socket().map_err(|errno| failed(errno.into()))?;
    let mut tables = Vec::new();
    for name in names.lines() {
        tables.extend(table(&socket, name).map_err(failed)?);
    }
    Ok(tables)
}

/// A table; none when forwarded packets do not pass it, or it cannot be told what they meet there.
fn table(socket: &OwnedFd, name: &str) -> io::Result<Option<LegacyTable>> {
    for _ in 0..TRIES {
        let mut info = named(name, INFO)?;
        match ask(socket, GET_INFO, &mut info) {
            // It has gone.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
            asked => asked?,
        }
        let word = |index: usize| {
            let at = NAME + index * 4;
            let bytes = [info[at], info[at + 1], info[at + 2], info[at + 3]];
            usize::try_from(u32::from_ne_bytes(bytes)).unwrap_or(usize::MAX)
        };
        // The hooks, where each begins, where the policy of each is, how many rules there are, and their length.
        let (hooks, hook) = (word(0), ForwardHook { first: word(3), policy: word(8) });
        let length = word(12);
        if hooks & 1 << FORWARD == 0 {
            return Ok(None);
        }
        if length > LONGEST {
            tracing::debug!(name, length, "a table of iptables-legacy is too long to look at");
            return Ok(None);
        }
        let mut entries = named(name, ENTRIES + length)?;
        entries[NAME..NAME + 4].copy_from_slice(&info[NAME + 48..NAME + 52]);
        match ask(socket, GET_ENTRIES, &mut entries) {
            // It is longer or shorter by now.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => continue,
            asked => asked?,
        }
        entries.drain(..ENTRIES);
        return Ok(LegacyTable::read(name, hook, entries));
    }
    Ok(None)
}

/// Room for an answer, which begins with the name of the table.
fn named(name: &str, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let place = bytes.get_mut(..name.len()).filter(|_| name.len() < NAME);
    place.ok_or(io::ErrorKind::InvalidData)?.copy_from_slice(name.as_bytes());
    Ok(bytes)
}

/// Has the kernel fill what is asked for.
#[expect(unsafe_code, reason = "rustix knows no options of iptables")]
fn ask(socket: &OwnedFd, option: libc::c_int, answer: &mut [u8]) -> io::Result<()> {
    let whole = libc::socklen_t::try_from(answer.len()).map_err(io::Error::other)?;
    let mut length = whole;
    let (fd, to) = (socket.as_raw_fd(), answer.as_mut_ptr().cast());
    // SAFETY: the descriptor is open, and the kernel writes `length` bytes at most to `answer`, which has them and
    // lives until the call returns.
    let done = unsafe { libc::getsockopt(fd, libc::IPPROTO_IP, option, to, &raw mut length) };
    match done {
        0 if length == whole => Ok(()),
        0 => Err(io::ErrorKind::InvalidData.into()),
        _ => Err(io::Error::last_os_error()),
    }
}
