//! A program's path and arguments in the form `execve` takes.
#![expect(unsafe_code, reason = "pointers to what a value owns may go where it goes")]

use std::ffi::{CString, NulError, OsString, c_char};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr;

/// Made before the child is, which may not allocate.
#[derive(Debug)]
pub(super) struct Argv {
    /// The path, which is also the program's own name, then its arguments. Never changed, as
    /// `pointers` points into them.
    #[expect(dead_code, reason = "owns what the pointers point to")]
    strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers point to what the value itself owns and nobody changes.
unsafe impl Send for Argv {}
// SAFETY: as above.
unsafe impl Sync for Argv {}

impl Argv {
    /// Fails when one of them holds a zero byte, which would end it early.
    pub(super) fn new(program: PathBuf, args: Vec<OsString>) -> Result<Self, NulError> {
        let strings: Vec<CString> = [program.into_os_string()]
            .into_iter()
            .chain(args)
            .map(|arg| CString::new(arg.into_vec()))
            .collect::<Result<_, _>>()?;
        let pointers = strings.iter().map(|arg| arg.as_ptr()).chain([ptr::null()]).collect();
        Ok(Self { strings, pointers })
    }

    /// The program's path, ending with a zero byte.
    pub(super) fn path(&self) -> *const c_char {
        self.pointers[0]
    }

    /// The program's name and arguments, each ending with a zero byte, and a null pointer. All
    /// of it is valid as long as `self` is.
    pub(super) fn pointers(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_zero_byte_is_refused_rather_than_cutting_the_argument() {
        let error = Argv::new("program".into(), vec!["a\0b".into()]).unwrap_err();
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
    }
}
