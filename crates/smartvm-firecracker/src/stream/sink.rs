//! Writing to a file while others wait for nothing.

use super::BoundedFile;

/// A [`BoundedFile`] written off the runtime's own threads. A disk that is full or broken costs what
/// was to be written and a warning, and nothing else.
#[derive(Debug)]
pub(crate) struct FileSink {
    /// Absent while it is being written, and for good when a write panicked.
    file: Option<BoundedFile>,
    /// Bytes that were lost since the last write that worked.
    lost: u64,
}

impl FileSink {
    pub(crate) const fn new(file: BoundedFile) -> Self {
        Self { file: Some(file), lost: 0 }
    }

    /// Appends `bytes`. Waits as long as the disk does, so what follows meanwhile must be bounded.
    pub(crate) async fn append(&mut self, bytes: Vec<u8>) {
        let Some(mut file) = self.file.take() else { return };
        let count = bytes.len() as u64;
        let writing = tokio::task::spawn_blocking(move || {
            let written = file.append(&bytes);
            (file, written)
        });
        // It fails only when the runtime is being shut down.
        let Ok((file, written)) = writing.await else { return };
        match written {
            Ok(()) if self.lost > 0 => {
                let path = file.path().display();
                tracing::warn!(%path, lost = self.lost, "written again; a part is missing");
                self.lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if self.lost == 0 {
                    let path = file.path().display();
                    tracing::warn!(%path, %error, "cannot be written; the VM goes on without it");
                }
                self.lost += count;
            }
        }
        self.file = Some(file);
    }
}
