//! Finding a program.

use std::ffi::CString;

use rustix::fs::FileType;
use rustix::io::Errno;
use smartvm_protocol::{Refusal, RefusalCode};

use crate::serve::refused::{failed, refused, shown};

/// Where root's programs are, when the request does not say.
pub(crate) const DEFAULT_PATH: &[u8] =
    b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The file to execute for `program`: itself when it has a `/`, else the first in the directories of `path` that can be
/// executed. Directories that are not absolute are passed over: what they would be depends on who asks.
pub(crate) fn find(program: &[u8], path: &[u8]) -> Result<CString, Refusal> {
    if program.is_empty() {
        return Err(refused(RefusalCode::Protocol, "run a program without a name"));
    }
    if program.contains(&b'/') {
        return c_string(program.to_vec());
    }
    let mut found = refused(
        RefusalCode::NoProgram,
        format_args!("run {}: it is in no directory of PATH", shown(program)),
    );
    for directory in path.split(|byte| *byte == b':').filter(|it| it.starts_with(b"/")) {
        let candidate = c_string([directory, b"/", program].concat())?;
        match rustix::fs::stat(candidate.as_c_str()) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {}
            Ok(stat) if stat.st_mode & 0o111 != 0 => return Ok(candidate),
            Ok(_) => {
                let what = format_args!("run {}", shown(candidate.as_bytes()));
                found = failed(RefusalCode::NotExecutable, what, Errno::ACCESS);
            }
            Err(_) => {}
        }
    }
    Err(found)
}

/// A text for the kernel, which none with a zero within can be.
pub(crate) fn c_string(bytes: Vec<u8>) -> Result<CString, Refusal> {
    CString::new(bytes).map_err(|error| {
        let text = shown(&error.into_vec());
        refused(RefusalCode::Protocol, format_args!("use {text:?}, which has a zero byte"))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_is_found_in_path_and_one_that_is_no_program_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str, mode| {
            let file = dir.path().join(name);
            std::fs::File::create_new(&file).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        place("yes", 0o755);
        place("no", 0o644);
        rustix::fs::mkdir(dir.path().join("dir"), rustix::fs::Mode::RWXU).unwrap();
        let path = format!("relative::/nowhere:{}", dir.path().display());
        let find = |program: &str| find(program.as_bytes(), path.as_bytes());
        assert!(find("yes").unwrap().to_str().unwrap().ends_with("/yes"));
        assert_eq!(find("no").unwrap_err().code, RefusalCode::NotExecutable);
        assert_eq!(find("dir").unwrap_err().code, RefusalCode::NoProgram);
        assert_eq!(find("none").unwrap_err().code, RefusalCode::NoProgram);
        assert_eq!(find("./here").unwrap().as_bytes(), b"./here");
        assert_eq!(find("").unwrap_err().code, RefusalCode::Protocol);
        assert_eq!(find("a\0b/").unwrap_err().code, RefusalCode::Protocol);
    }
}
