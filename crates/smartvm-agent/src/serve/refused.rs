//! Words for what cannot be done.

use std::fmt;

use rustix::io::Errno;
use smartvm_protocol::{Refusal, RefusalCode};

/// How long a refusal's words may be, to fit its frame.
const LONGEST: usize = 2048;

/// A refusal that names what was being done.
pub(crate) fn refused(code: RefusalCode, what: impl fmt::Display) -> Refusal {
    let mut text = what.to_string().into_bytes();
    text.truncate(LONGEST);
    Refusal { code, errno: None, text }
}

/// A refusal because of a system call.
pub(crate) fn failed(code: RefusalCode, what: impl fmt::Display, error: Errno) -> Refusal {
    let errno = u32::try_from(error.raw_os_error()).ok();
    Refusal { errno, ..refused(code, format_args!("{what}: {error}")) }
}

/// Bytes of a name, to be shown.
pub(crate) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
