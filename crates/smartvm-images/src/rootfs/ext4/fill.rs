//! A file system with files in it.

use std::io;
use std::path::Path;

use thiserror::Error;

use super::make::{check, make_filled};
use super::script::{RunScriptError, Script};
use crate::host_tool::{HostToolError, HostTools};

const MIB: u64 = 1 << 20;

/// What is to be put into a file system.
#[derive(Debug)]
pub(in crate::rootfs) struct Fill<'a> {
    /// A directory with the files.
    pub(in crate::rootfs) dir: &'a Path,
    /// What they have that those files have not.
    pub(in crate::rootfs) script: Script,
    /// How many inodes and bytes they take.
    pub(in crate::rootfs) inodes: u64,
    pub(in crate::rootfs) bytes: u64,
}

/// The reason why a file system was not made.
#[derive(Debug, Error)]
pub(in crate::rootfs) enum FillError {
    #[error("the image cannot be made")]
    Image(#[source] io::Error),
    #[error(
        "the files do not fit: {size} bytes are too few for {needed} and what ext4 itself takes"
    )]
    Full { size: u64, needed: u64 },
    #[error(transparent)]
    Tool(#[from] HostToolError),
    #[error("what ext4 keeps of the files cannot be set")]
    Script(#[source] RunScriptError),
}

impl Fill<'_> {
    /// Makes the image `image`, a new file, of `size` bytes, or as large as the files need with a
    /// tenth of it free. `scratch` is where a file for the time being goes. Returns the size.
    pub(in crate::rootfs) fn make(
        self,
        image: &Path,
        size: Option<u64>,
        scratch: &Path,
        tools: &HostTools,
    ) -> Result<u64, FillError> {
        let size = size.unwrap_or_else(|| fitting(self.bytes, self.inodes));
        if size <= self.bytes {
            return Err(FillError::Full { size, needed: self.bytes });
        }
        let file = fs_err::File::create_new(image).map_err(FillError::Image)?;
        file.set_len(size).map_err(FillError::Image)?;
        drop(file);
        // As many as ext4 has by itself, and not too few for many small files.
        let inodes = (size / 16384).max(with_spare_inodes(self.inodes));
        make_filled(image, self.dir, inodes, tools).map_err(|error| match error {
            HostToolError::Failed { ref output, .. } if output.contains("Could not allocate") => {
                FillError::Full { size, needed: self.bytes }
            }
            other => FillError::Tool(other),
        })?;
        self.script.run(image, &scratch.join("script"), tools).map_err(FillError::Script)?;
        check(image, tools)?;
        Ok(size)
    }
}

fn with_spare_inodes(inodes: u64) -> u64 {
    inodes + inodes / 4 + 1024
}

/// A size in which the files fit: with their inodes, bitmaps and a journal, and a tenth of it free.
fn fitting(bytes: u64, inodes: u64) -> u64 {
    let tables = with_spare_inodes(inodes) * 256;
    let files = bytes + tables;
    // The journal grows with the size, in steps; a sixteenth is enough for each, and not more than
    // this. So is what is kept for growing later.
    let journal = (files / 16).clamp(4 * MIB, 256 * MIB);
    let size = files + files / 10 + files / 50 + 2 * journal + 12 * MIB;
    size.next_multiple_of(MIB)
}
