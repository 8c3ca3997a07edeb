//! Sockets that are open to nobody from their first moment on.

use std::io;
use std::os::unix::net::UnixListener;

use rustix::fs::{Mode, fchmod};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use smartvm_dir::FileAt;

/// As many as may wait to be accepted.
const WAITING: i32 = 128;

/// Listens at a name that nothing has yet, for this user alone: a socket's name gets the mode that the socket has
/// when it is bound. Accepting never waits, as whoever connected may have gone between poll and accept.
pub(crate) fn listen_privately(place: &FileAt) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    fchmod(&listener, Mode::RUSR | Mode::WUSR)?;
    // Through the open directory, as the system takes a path only. A link in the name's place is not followed.
    bind(&listener, &SocketAddrUnix::new(place.path_through_dir())?)?;
    listen(&listener, WAITING)?;
    Ok(listener.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    use smartvm_dir::PrivateDir;

    use super::*;

    #[test]
    fn a_socket_is_private_and_never_in_the_place_of_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let home = PrivateDir::ensure(dir.path()).unwrap();
        let listener = listen_privately(&home.file_at("a.sock").unwrap()).unwrap();
        let path = dir.path().join("a.sock");
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let _caller = UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
        symlink(dir.path().join("elsewhere"), dir.path().join("link")).unwrap();
        listen_privately(&home.file_at(Path::new("link")).unwrap()).unwrap_err();
        assert!(!dir.path().join("elsewhere").exists());
    }
}
