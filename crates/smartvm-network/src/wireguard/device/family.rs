//! Finding the family: generic netlink numbers its families as they come.

use std::io;

use crate::netlink::{NetlinkError, NetlinkSocket, Protocol, Request};

/// `GENL_ID_CTRL`, the one family whose number is known, and what it is asked.
const CONTROLLER: u16 = 0x10;
const CMD_GETFAMILY: u8 = 3;
const ATTR_FAMILY_ID: u16 = 1;
const ATTR_FAMILY_NAME: u16 = 2;

const FAMILY: &str = "wireguard";
const VERSION: u8 = 1;

/// `genlmsghdr`: command, version, two bytes of nothing.
pub(super) const HEADER: usize = 4;

/// A socket to the kernel's WireGuard.
#[derive(Debug)]
pub(in crate::wireguard) struct WireGuardSocket {
    pub(super) socket: NetlinkSocket,
    family: u16,
}

impl WireGuardSocket {
    /// Opens it.
    ///
    /// # Errors
    /// `ENOENT` when the kernel has no WireGuard, or none yet: its module is loaded when the first
    /// interface is made.
    pub(in crate::wireguard) fn open() -> Result<Self, NetlinkError> {
        let mut socket = NetlinkSocket::open(Protocol::Generic)?;
        let mut request = Request::new(CONTROLLER, 0, &header(CMD_GETFAMILY));
        request.attributes().text(ATTR_FAMILY_NAME, FAMILY);
        let answers = socket.get("find", "the kernel's WireGuard", &request)?;
        let number = answers.iter().find_map(|answer| {
            answer.attributes(HEADER).find(ATTR_FAMILY_ID)?.try_into().ok().map(u16::from_ne_bytes)
        });
        let family = number.ok_or_else(|| {
            NetlinkError::new("find", "the kernel's WireGuard", io::ErrorKind::InvalidData.into())
        })?;
        Ok(Self { socket, family })
    }

    /// A request of the family that, or whose answer, has keys in it.
    pub(super) fn new_request(&self, command: u8, room: usize) -> Request {
        Request::with_secrets(self.family, 0, &header(command), room)
    }
}

fn header(command: u8) -> [u8; HEADER] {
    [command, VERSION, 0, 0]
}
