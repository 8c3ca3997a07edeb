//! The archive that the kernel unpacks as its first root: cpio in the "newc" format.
//!
//! See the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`. Every entry is
//! owned by root and has no time, so that the same contents give the same bytes.

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// An archive under construction.
#[derive(Debug, Default)]
pub(super) struct CpioArchive {
    bytes: Vec<u8>,
    entries: u32,
}

impl CpioArchive {
    /// Adds a directory that everyone may read; its parent must have been added.
    pub(super) fn add_directory(&mut self, path: &str) {
        self.add(path, DIRECTORY | 0o755, (0, 0), &[]);
    }

    /// Adds a file with the given permissions.
    pub(super) fn add_file(&mut self, path: &str, permissions: u32, contents: &[u8]) {
        self.add(path, FILE | permissions, (0, 0), contents);
    }

    /// Adds a character device.
    pub(super) fn add_device(&mut self, path: &str, permissions: u32, number: (u32, u32)) {
        self.add(path, CHARACTER_DEVICE | permissions, number, &[]);
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn add(&mut self, path: &str, mode: u32, device: (u32, u32), contents: &[u8]) {
        let path = path.trim_start_matches('/');
        let size = u32::try_from(contents.len()).expect("modules and init are capped far below");
        let name_size = u32::try_from(path.len() + 1).expect("paths are capped far below");
        self.entries += 1;
        let links = if mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
        let (owner, group, time, own_device, checksum) = (0, 0, 0, (0, 0), 0);
        self.bytes.extend_from_slice(b"070701");
        for field in [
            self.entries,
            mode,
            owner,
            group,
            links,
            time,
            size,
            own_device.0,
            own_device.1,
            device.0,
            device.1,
            name_size,
            checksum,
        ] {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_laid_out_as_the_kernel_reads_it() {
        let mut archive = CpioArchive::default();
        archive.add_file("/init", 0o755, b"hello");
        let bytes = archive.finish();
        let header = "070701\
                      00000001\
                      000081ed\
                      00000000\
                      00000000\
                      00000001\
                      00000000\
                      00000005\
                      00000000\
                      00000000\
                      00000000\
                      00000000\
                      00000005\
                      00000000";
        // 110 bytes of header and 5 of the name make 115: one byte to the next multiple of four.
        let name = b"init\0\0";
        assert_eq!(std::str::from_utf8(&bytes[..110]).unwrap(), header);
        // "init" with its end is 5 bytes; the sixth is padding.
        assert_eq!(&bytes[110..116], name);
        assert_eq!(&bytes[116..124], b"hello\0\0\0");
        assert_eq!(&bytes[124..130], b"070701");
        assert!(bytes.windows(11).any(|window| window == b"TRAILER!!!\0"));
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn devices_have_their_number_and_directories_two_links() {
        let mut archive = CpioArchive::default();
        archive.add_directory("dev");
        archive.add_device("dev/console", 0o600, (5, 1));
        let text = String::from_utf8(archive.finish()).unwrap();
        let field = |entry: usize, index: usize| {
            let at = entry + 6 + 8 * index;
            u32::from_str_radix(&text[at..at + 8], 16).unwrap()
        };
        assert_eq!((field(0, 1), field(0, 4)), (0o040_755, 2));
        let second = text[1..].find("070701").unwrap() + 1;
        assert_eq!(field(second, 1), 0o020_600);
        assert_eq!((field(second, 9), field(second, 10)), (5, 1));
    }
}
