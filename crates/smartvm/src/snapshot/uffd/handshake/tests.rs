use std::io::{IoSlice, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixListener;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::*;

const REGIONS: &[u8] =
    br#"[{"base_host_virt_addr":1048576,"size":8192,"offset":0,"page_size":4096}]"#;
const MEMORY: u64 = 8192;

fn us() -> Peer {
    Peer { pid: std::process::id(), uid: rustix::process::geteuid().as_raw() }
}

/// What becomes of a connection on which `say` speaks.
fn handover(peer: Peer, say: impl FnOnce(&UnixStream)) -> io::Result<Option<Handover>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let stream = UnixStream::connect(path).unwrap();
    say(&stream);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    take_over(&listener, peer, MEMORY)
}

fn refused(say: impl FnOnce(&UnixStream)) -> String {
    handover(us(), say).err().expect("it is refused").to_string()
}

fn send(stream: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    sendmsg(stream, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::empty()).unwrap();
}

#[test]
fn a_descriptor_that_is_no_userfaultfd_is_refused() {
    let pipe = rustix::pipe::pipe().unwrap().0;
    assert!(refused(|to| send(to, REGIONS, &[pipe.as_fd()])).contains("no userfaultfd"));
    let file = fs_err::File::open("/dev/null").unwrap();
    assert!(refused(|to| send(to, REGIONS, &[file.file().as_fd()])).contains("no userfaultfd"));
}

#[test]
fn none_and_more_than_one_descriptor_are_refused() {
    assert!(refused(|mut to| to.write_all(REGIONS).unwrap()).contains("no descriptor"));
    let pipe = rustix::pipe::pipe().unwrap().0;
    let fds = [pipe.as_fd(); 2];
    assert!(refused(|to| send(to, REGIONS, &fds)).contains("more than one"));
    let twice = |to: &UnixStream| {
        send(to, &REGIONS[..10], &fds[..1]);
        send(to, &REGIONS[10..], &fds[..1]);
    };
    assert!(refused(twice).contains("more than one"));
}

#[test]
fn another_process_and_another_user_are_not_listened_to() {
    let pipe = rustix::pipe::pipe().unwrap().0;
    for stranger in [Peer { pid: us().pid + 1, ..us() }, Peer { uid: us().uid + 1, ..us() }] {
        let heard = handover(stranger, |to| send(to, REGIONS, &[pipe.as_fd()]));
        assert!(heard.unwrap().is_none());
    }
}

#[test]
fn a_message_without_an_end_and_half_a_one_are_refused() {
    assert!(refused(|mut to| to.write_all(b"[{\"base").unwrap()).contains("parsed"));
    let long = vec![b' '; MAX_MESSAGE + 4096];
    assert!(refused(|mut to| to.write_all(&long).unwrap()).contains("without an end"));
}
