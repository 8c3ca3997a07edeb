//! Orders for `debugfs`, which changes a file system without mounting it.

use std::fmt::Write as _;
use std::path::Path;

use crate::host_tool::{HostToolError, HostTools, Tool, ToolCall};
use crate::rootfs::archive::{DeviceKind, Stamp};

/// The longest line that `debugfs` reads whole.
const MAX_LINE: usize = 8000;

/// A list of orders, each about a path that begins at the root of the file system.
#[derive(Debug, Default)]
pub(in crate::rootfs) struct Script {
    text: Vec<u8>,
}

/// A path that cannot be put into a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rootfs) struct UnspeakablePath;

impl Script {
    /// Sets the time of the last change, to the nanosecond, between 1901 and 2446.
    pub(in crate::rootfs) fn set_mtime(
        &mut self,
        path: &[u8],
        mtime: Stamp,
    ) -> Result<(), UnspeakablePath> {
        // ext4 keeps 32 bits, and two more beside the nanoseconds.
        let low = mtime.seconds & 0xffff_ffff;
        let signed = i64::from(u32::try_from(low).unwrap_or_default().cast_signed());
        let epoch = ((mtime.seconds - signed) >> 32) & 3;
        let extra = i64::from(mtime.nanoseconds) << 2 | epoch;
        self.order("sif", path, &format!("mtime @{low}"))?;
        self.order("sif", path, &format!("mtime_extra {extra}"))
    }

    /// Sets owner and mode; the mode has the type's bits.
    pub(in crate::rootfs) fn set_owner_and_mode(
        &mut self,
        path: &[u8],
        owner: (u32, u32),
        mode: u32,
    ) -> Result<(), UnspeakablePath> {
        self.order("sif", path, &format!("mode 0{mode:o}"))?;
        self.order("sif", path, &format!("uid {}", owner.0))?;
        self.order("sif", path, &format!("gid {}", owner.1))
    }

    /// Makes a device or a pipe.
    pub(in crate::rootfs) fn make_node(
        &mut self,
        path: &[u8],
        kind: DeviceKind,
    ) -> Result<(), UnspeakablePath> {
        let (letter, number) = match kind {
            DeviceKind::Pipe => ("p", None),
            DeviceKind::Character(number) => ("c 0 0", Some(number)),
            DeviceKind::Block(number) => ("b 0 0", Some(number)),
        };
        let name = self.enter_parent(path)?;
        self.order("mknod", name, letter)?;
        let Some(number) = number else { return Ok(()) };
        // `mknod` takes no large minor numbers; this is where the kernel looks for them.
        let (major, minor) = (number.major, number.minor);
        let large = minor & 0xff | major << 8 | (minor & !0xff) << 12;
        self.order("sif", path, "block[0] 0")?;
        self.order("sif", path, &format!("block[1] {large}"))
    }

    /// Gives what is at `first` one more name, which is then the `names`th.
    pub(in crate::rootfs) fn link(
        &mut self,
        first: &[u8],
        path: &[u8],
        names: u32,
    ) -> Result<(), UnspeakablePath> {
        let mut line = b"ln ".to_vec();
        quote(&mut line, first)?;
        line.push(b' ');
        quote(&mut line, self.enter_parent(path)?)?;
        self.push(line)?;
        // Which `ln` does not count.
        self.order("sif", first, &format!("links_count {names}"))
    }

    /// Sets an extended attribute to the content of the file `value`.
    pub(in crate::rootfs) fn set_xattr(
        &mut self,
        path: &[u8],
        name: &[u8],
        value: &Path,
    ) -> Result<(), UnspeakablePath> {
        let value = value.as_os_str().as_encoded_bytes();
        let mut line = b"ea_set -f ".to_vec();
        quote(&mut line, value)?;
        line.push(b' ');
        quote(&mut line, path)?;
        line.push(b' ');
        quote(&mut line, name)?;
        self.push(line)
    }

    /// Changes to the directory that something is to be made in, since what makes it takes a path
    /// for a name; returns the name.
    fn enter_parent<'p>(&mut self, path: &'p [u8]) -> Result<&'p [u8], UnspeakablePath> {
        let slash = path.iter().rposition(|&byte| byte == b'/').ok_or(UnspeakablePath)?;
        let parent = if slash == 0 { b"/" } else { &path[..slash] };
        self.order("cd", parent, "")?;
        Ok(&path[slash + 1..])
    }

    fn order(&mut self, verb: &str, path: &[u8], rest: &str) -> Result<(), UnspeakablePath> {
        let mut line = verb.as_bytes().to_vec();
        line.push(b' ');
        quote(&mut line, path)?;
        line.push(b' ');
        line.extend_from_slice(rest.as_bytes());
        self.push(line)
    }

    fn push(&mut self, line: Vec<u8>) -> Result<(), UnspeakablePath> {
        if line.len() > MAX_LINE {
            return Err(UnspeakablePath);
        }
        self.text.extend_from_slice(&line);
        self.text.push(b'\n');
        Ok(())
    }

    /// Carries the orders out on `image`; the script is written to `file`, which must not exist.
    pub(in crate::rootfs) fn run(
        self,
        image: &Path,
        file: &Path,
        tools: &HostTools,
    ) -> Result<(), RunScriptError> {
        if self.text.is_empty() {
            return Ok(());
        }
        fs_err::write(file, &self.text).map_err(RunScriptError::Write)?;
        // Its orders name files beside it.
        let beside = file.parent().unwrap_or(file);
        let call = ToolCall::new(Tool::DEBUGFS).args(["-w", "-f"]).arg(file).reading(beside);
        let call = call.image(image);
        let answer = call.run(tools)?;
        // Its exit code is 0 whatever becomes of an order, and beside its version it complains there.
        let mut complaints = String::new();
        for line in answer.stderr.lines().filter(|line| !line.starts_with("debugfs ")) {
            let _ = writeln!(complaints, "{line}");
        }
        if complaints.trim().is_empty() { Ok(()) } else { Err(answer.into_failure().into()) }
    }
}

/// The reason why the orders were not carried out.
#[derive(Debug, thiserror::Error)]
pub(in crate::rootfs) enum RunScriptError {
    #[error("the orders cannot be written")]
    Write(#[source] std::io::Error),
    #[error(transparent)]
    Tool(#[from] HostToolError),
}

/// Appends a word as `debugfs` reads it: in quotes, a quote within doubled.
fn quote(line: &mut Vec<u8>, word: &[u8]) -> Result<(), UnspeakablePath> {
    line.push(b'"');
    for &byte in word {
        match byte {
            b'\n' | b'\r' | 0 => return Err(UnspeakablePath),
            b'"' => line.extend_from_slice(b"\"\""),
            other => line.push(other),
        }
    }
    line.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::archive::DeviceNumber;

    fn text(orders: impl FnOnce(&mut Script) -> Result<(), UnspeakablePath>) -> String {
        let mut script = Script::default();
        orders(&mut script).unwrap();
        String::from_utf8(script.text).unwrap()
    }

    #[test]
    fn times_outside_of_32_bits_and_nanoseconds_have_their_bits() {
        let stamp = |seconds, nanoseconds| Stamp { seconds, nanoseconds };
        for (stamp, expected) in [
            (stamp(1, 3), ["1", "12"]),
            (stamp(2_524_608_000, 0), ["2524608000", "1"]),
            (stamp(-1, 0), ["4294967295", "0"]),
        ] {
            let lines = text(|script| script.set_mtime(b"/f", stamp));
            let [low, extra] = expected;
            assert_eq!(lines, format!("sif \"/f\" mtime @{low}\nsif \"/f\" mtime_extra {extra}\n"));
        }
    }

    #[test]
    fn no_path_can_be_an_order_of_its_own() {
        let path = b"/a \"b\" #<2>";
        let lines = text(|script| script.make_node(path, DeviceKind::Pipe));
        assert_eq!(lines, "cd \"/\" \nmknod \"a \"\"b\"\" #<2>\" p\n");
        let long = [b"/", &[b'a'; MAX_LINE][..]].concat();
        for path in [&b"/a\nrm /b"[..], b"/a\rb", b"/a\0", &long] {
            let mut script = Script::default();
            assert_eq!(script.set_owner_and_mode(path, (0, 0), 0), Err(UnspeakablePath));
            assert!(script.text.is_empty());
        }
    }

    #[test]
    fn large_device_numbers_are_put_as_the_kernel_reads_them() {
        let number = DeviceNumber { major: 259, minor: 70000 };
        let lines = text(|script| script.make_node(b"/d", DeviceKind::Block(number)));
        // As `new_encode_dev` of Linux makes it.
        assert!(lines.ends_with("block[1] 286327664\n"), "{lines}");
    }
}
