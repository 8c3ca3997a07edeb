//! Into a guest.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use smartvm_guest::{Guest, GuestError, GuestFileWriter, WriteOptions};
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::guest_program::of_guest;
use crate::input::read_input;

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// Writes a file of this host to `path`, or into it where it is a directory.
pub(super) async fn file(guest: &Guest, from: &Path, path: &str) -> Result<(), Failure> {
    // It names the file.
    let unreadable = |error: &std::io::Error| Failure::of(error, "FILE_UNREADABLE", None);
    let source = fs_err::File::open(from).map_err(|error| unreadable(&error))?;
    let found = source.metadata().map_err(|error| unreadable(&error))?;
    if found.is_dir() {
        let message = format!("`{}` is a directory", from.display());
        return Err(Failure::new("USAGE", message)
            .with_hint("send it as a tar stream: `tar c DIR | smartvm cp - VM:/PATH`"));
    }
    let options = WriteOptions {
        mode: Some(found.permissions().mode() & 0o777),
        uid: Some(0),
        gid: Some(0),
        atomic: true,
        parents: false,
    };
    let within = || {
        let name = from.file_name().and_then(|name| name.to_str())?;
        Some(format!("{}/{name}", path.trim_end_matches('/')))
    };
    let writer = match guest.create_file(path, options).await {
        Err(error) if error.code() == "GUEST_WRONG_KIND_OF_FILE" || path.ends_with('/') => {
            let Some(within) = within() else { return Err(of_guest(&error)) };
            guest.create_file(within, options).await
        }
        other => other,
    };
    let writer = writer.map_err(|error| of_guest(&error))?;
    carry(read_file(source), writer).await?.map_err(|error| unreadable(&error))
}

/// Unpacks standard input in a directory.
pub(super) async fn tree(guest: &Guest, path: &str) -> Result<(), Failure> {
    let writer = guest.unpack_tree(path, WriteOptions::default()).await;
    let writer = writer.map_err(|error| of_guest(&error))?;
    let (sender, pieces) = mpsc::channel(1);
    let mut input = read_input();
    tokio::spawn(async move {
        while let Some(piece) = input.recv().await {
            if sender.send(Ok(piece)).await.is_err() {
                return;
            }
        }
    });
    let read = carry(pieces, writer).await?;
    read.map_err(|error| {
        Failure::new("INPUT_FAILED", "failed to read standard input").caused_by(&error)
    })
}

type Pieces = mpsc::Receiver<std::io::Result<Vec<u8>>>;

/// Sends all pieces. An error of the source leaves nothing of a file in the guest.
async fn carry(
    mut pieces: Pieces,
    mut writer: GuestFileWriter,
) -> Result<std::io::Result<()>, Failure> {
    let told = |error: GuestError| of_guest(&error);
    while let Some(piece) = pieces.recv().await {
        match piece {
            Ok(piece) => writer.write(&piece).await.map_err(told)?,
            Err(error) => return Ok(Err(error)),
        }
    }
    writer.finish().await.map_err(told)?;
    Ok(Ok(()))
}

/// Reads a file on a thread of its own: a disk may take its time.
fn read_file(mut file: fs_err::File) -> Pieces {
    let (sender, pieces) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        loop {
            let read = match file.read(&mut piece) {
                Ok(0) => return,
                Ok(read) => Ok(piece[..read].to_vec()),
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    pieces
}
