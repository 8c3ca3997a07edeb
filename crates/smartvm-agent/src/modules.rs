//! Loading the kernel's modules.

use std::io::{self, BufRead};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::failure::{self, Failure};

/// One path a line, in the order to load them in.
const LIST: &str = "/etc/modules";

/// Loads the modules of the list and gives the names of those that the kernel refused.
///
/// A refused module is told on the console, and the boot goes on: what it was for may not be needed.
pub(crate) fn load_all() -> Result<Vec<String>, Failure> {
    let cannot = |error: io::Error| Failure::new(format!("read {LIST}"), error);
    let list = match rustix::fs::open(LIST, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(list) => std::fs::File::from(list),
        // A kernel with everything built in needs no list.
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(error) => return Err(cannot(error.into())),
    };
    let mut failed = Vec::new();
    for line in io::BufReader::new(list).lines() {
        let path = line.map_err(cannot)?;
        if path.is_empty() {
            continue;
        }
        if let Err(error) = load(&path) {
            failure::report(&format!("cannot load {path}: {error}"));
            failed.push(name_of(&path).to_owned());
        }
    }
    Ok(failed)
}

fn load(path: &str) -> Result<(), Errno> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    match rustix::system::finit_module(&file, c"", 0) {
        // It is loaded already, or built for hardware that is not here, as some of the
        // alternatives of a checksum are.
        Err(Errno::EXIST | Errno::NODEV) => Ok(()),
        other => other,
    }
}

fn name_of(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".ko").unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_named_by_its_file() {
        assert_eq!(name_of("/lib/modules/6.1.0/kernel/fs/ext4/ext4.ko"), "ext4");
        assert_eq!(name_of("odd"), "odd");
    }
}
