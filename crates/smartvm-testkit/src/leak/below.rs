//! Processes, files and mounts that belong to some directories.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// The lock of a runtime directory stays: to remove it would race with who is about to take it.
const STAYS: &str = ".lock";

/// So does the directory of those that are being removed, empty.
const DEAD: &str = ".dead";

/// Processes other than this one whose command line mentions `dir`.
pub(super) fn processes(dir: &Path, things: &mut BTreeSet<String>) {
    let entries = fs_err::read_dir("/proc").expect("/proc is mounted where tests run");
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended meanwhile.
        let Ok(command) = fs_err::read(entry.path().join("cmdline")) else { continue };
        if pid != std::process::id() && contains(&command, dir.as_os_str().as_bytes()) {
            let words = String::from_utf8_lossy(&command).replace('\0', " ");
            things.insert(format!("process {pid}: {}", words.trim_end()));
        }
    }
}

/// Whatever is in `dir`, at any depth. What vanishes meanwhile is passed over.
pub(super) fn files(dir: &Path, things: &mut BTreeSet<String>) {
    let Ok(entries) = fs_err::read_dir(dir) else { return };
    for entry in entries.filter_map(Result::ok) {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        if entry.file_name() == STAYS {
            continue;
        }
        let name = if kind.is_dir() {
            files(&path, things);
            if entry.file_name() == DEAD {
                continue;
            }
            "directory"
        } else if kind.is_socket() {
            "socket"
        } else {
            "file"
        };
        things.insert(format!("{name} {}", path.display()));
    }
}

/// Mounts on `dir` or below it, as this thread sees them.
pub(super) fn mounts(dir: &Path, things: &mut BTreeSet<String>) {
    let text = fs_err::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
    // The fifth field of a line is the mount point.
    let points = text.lines().filter_map(|line| line.split(' ').nth(4));
    for point in points.filter(|point| Path::new(point).starts_with(dir)) {
        things.insert(format!("mount on {point}"));
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
