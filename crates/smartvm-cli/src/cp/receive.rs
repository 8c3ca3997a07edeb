//! Out of a guest.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use smartvm_guest::{Guest, GuestFile};

use crate::failure::Failure;
use crate::guest_program::of_guest;
use crate::printer::Printer;

/// Writes a file of the guest to `to`, or into it where it is a directory. The guest's name of it is never a path here.
pub(super) async fn file(guest: &Guest, path: &str, to: &Path) -> Result<(), Failure> {
    let target = target(path, to)?;
    let source = guest.open_file(path).await.map_err(|error| {
        let failure = of_guest(&error);
        if error.code() == "GUEST_WRONG_KIND_OF_FILE" {
            return failure
                .with_hint("take a directory as a tar stream: `smartvm cp VM:/PATH - | tar x`");
        }
        failure
    })?;
    let unwritable = |error: &(dyn std::error::Error + 'static)| {
        let message = format!("failed to write `{}`", target.display());
        Failure::new("FILE_UNWRITABLE", message).caused_by(error)
    };
    // No bit of it gives anybody the rights of somebody else.
    let mode = source.found().mode & 0o777;
    let mut draft = Draft::beside(&target).map_err(|error| unwritable(&error))?;
    draft.take(source, &unwritable).await?;
    draft.publish(&target, mode).map_err(|error| unwritable(&error))
}

/// Writes a tree of the guest to standard output, as a tar stream.
pub(super) async fn tree(guest: &Guest, path: &str, printer: Printer) -> Result<(), Failure> {
    let mut source = guest.open_tree(path).await.map_err(|error| of_guest(&error))?;
    while let Some(piece) = source.next().await.map_err(|error| of_guest(&error))? {
        let written = tokio::task::spawn_blocking(move || printer.program_output(&piece)).await;
        let written = written.map_err(std::io::Error::other).and_then(|written| written);
        written.map_err(|error| Failure::writing_output(&error))?;
    }
    Ok(())
}

fn target(path: &str, to: &Path) -> Result<PathBuf, Failure> {
    if !to.is_dir() {
        return Ok(to.to_owned());
    }
    match Path::new(path).file_name() {
        Some(name) => Ok(to.join(name)),
        None => Err(Failure::new("USAGE", format!("`{path}` names no file"))),
    }
}

/// A file that is not whole; it goes unless it is put in its place.
struct Draft {
    path: PathBuf,
    file: Option<fs_err::File>,
}

impl Draft {
    fn beside(target: &Path) -> std::io::Result<Self> {
        let name = target.file_name().unwrap_or_else(|| OsStr::new("file"));
        let mut draft = OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}~", std::process::id()));
        let path = target.with_file_name(draft);
        let file = fs_err::OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file: Some(file) })
    }

    async fn take(
        &mut self,
        mut source: GuestFile,
        unwritable: &impl Fn(&(dyn std::error::Error + 'static)) -> Failure,
    ) -> Result<(), Failure> {
        while let Some(piece) = source.next().await.map_err(|error| of_guest(&error))? {
            let Some(mut file) = self.file.take() else { return Ok(()) };
            let written = tokio::task::spawn_blocking(move || {
                file.write_all(&piece)?;
                std::io::Result::Ok(file)
            });
            let written = written.await.map_err(|error| unwritable(&error))?;
            self.file = Some(written.map_err(|error| unwritable(&error))?);
        }
        Ok(())
    }

    fn publish(self, target: &Path, mode: u32) -> std::io::Result<()> {
        if let Some(file) = &self.file {
            file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        fs_err::rename(&self.path, target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It is gone when it was put in its place.
        let _ = fs_err::remove_file(&self.path);
    }
}
