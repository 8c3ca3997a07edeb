//! Giving network devices their addresses. The kernels of distributions do not heed `ip=`.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

use crate::address::Address;
use crate::failure::{self, Failure};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
/// A request, acknowledged, that makes what is not there.
const FLAGS: u16 = 1 | 4 | 0x400;
const NLMSG_ERROR: u16 = 2;
const HEADER: usize = 16;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const AF_INET: u8 = 2;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Brings up loopback and gives each device its address. What cannot be done is said, and the guest
/// goes on without it.
pub(crate) fn configure(addresses: &[Address]) {
    if addresses.is_empty() {
        return;
    }
    let mut outcome = open().map_err(|error| Failure::new("open a socket for the network", error));
    if let Ok(socket) = &mut outcome {
        if let Err(error) = index("lo").and_then(|index| bring_up(socket, index)) {
            failure::report(&format!("cannot bring up lo: {error}"));
        }
        for address in addresses {
            if let Err(error) = give(socket, address) {
                let device = &address.device;
                failure::report(&format!(
                    "cannot give {device} the address {}: {error}",
                    address.client
                ));
            }
        }
    }
    if let Err(failure) = outcome {
        failure::report(&failure.to_string());
    }
}

/// Brings up loopback alone, which a root's own init does as well.
pub(crate) fn bring_up_loopback() {
    let up = open().map_err(io::Error::from).and_then(|socket| bring_up(&socket, index("lo")?));
    if let Err(error) = up {
        failure::report(&format!("cannot bring up lo: {error}"));
    }
}

/// Tells the root's programs whom to ask for names, once its file system is `/`.
pub(crate) fn name_resolvers(addresses: &[Address]) {
    let text: String = addresses
        .iter()
        .flat_map(|address| &address.resolvers)
        .map(|resolver| format!("nameserver {resolver}\n"))
        .collect();
    if text.is_empty() {
        return;
    }
    if let Err(error) = write_resolv_conf(&text) {
        failure::report(&format!("cannot write {RESOLV_CONF}: {error}"));
    }
}

#[expect(clippy::disallowed_methods, reason = "the message names the path; fs_err is not in here")]
fn write_resolv_conf(text: &str) -> io::Result<()> {
    match fs::write(RESOLV_CONF, text) {
        // A link into a directory of a resolver that does not run yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let target = fs::read_link(RESOLV_CONF)?;
            let target = Path::new("/etc").join(target);
            fs::create_dir_all(target.parent().unwrap_or_else(|| Path::new("/")))?;
            fs::write(target, text)
        }
        written => written,
    }
}

fn give(socket: &OwnedFd, address: &Address) -> io::Result<()> {
    let index = index(&address.device)?;
    ask(socket, &new_address(index, address.client, address.prefix))?;
    bring_up(socket, index)?;
    match address.gateway {
        Some(gateway) => ask(socket, &default_route(index, gateway)),
        None => Ok(()),
    }
}

fn bring_up(socket: &OwnedFd, index: u32) -> io::Result<()> {
    ask(socket, &set_up(index))
}

/// The kernel's number for a device. Its driver was loaded before, and found it then.
#[expect(
    clippy::disallowed_methods,
    reason = "the message names the device; fs_err is not in here"
)]
fn index(device: &str) -> io::Result<u32> {
    let text = fs::read_to_string(format!("/sys/class/net/{device}/ifindex"))?;
    text.trim().parse().map_err(io::Error::other)
}

fn open() -> Result<OwnedFd, Errno> {
    // `NETLINK_ROUTE` is 0, the default.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, 0))?;
    Ok(socket)
}

/// Has a request carried out.
fn ask(socket: &OwnedFd, request: &[u8]) -> io::Result<()> {
    send(socket, request, SendFlags::empty())?;
    let mut answer = [0; 4096];
    let (length, _) = recv(socket, &mut answer, RecvFlags::empty())?;
    let answer = &answer[..length];
    let kind = answer.get(4..6).map(|kind| u16::from_ne_bytes([kind[0], kind[1]]));
    let code = answer.get(HEADER..HEADER + 4);
    let code = code.map_or(0, |code| i32::from_ne_bytes([code[0], code[1], code[2], code[3]]));
    match (kind, -code) {
        // To have it already is as good.
        (Some(NLMSG_ERROR), 0) => Ok(()),
        (Some(NLMSG_ERROR), errno) if errno == Errno::EXIST.raw_os_error() => Ok(()),
        (Some(NLMSG_ERROR), errno) => Err(io::Error::from_raw_os_error(errno)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A message with its header and attributes.
fn message(kind: u16, header: &[u8], attributes: &[(u16, [u8; 4])]) -> Vec<u8> {
    let mut body = header.to_vec();
    for (kind, value) in attributes {
        body.extend(8_u16.to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(value);
    }
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(FLAGS.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

fn set_up(index: u32) -> Vec<u8> {
    // `ifinfomsg` with `IFF_UP` in its flags and in what is to change.
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&1_u32.to_ne_bytes());
    header[12..16].copy_from_slice(&1_u32.to_ne_bytes());
    message(RTM_NEWLINK, &header, &[])
}

fn new_address(index: u32, address: Ipv4Addr, prefix: u8) -> Vec<u8> {
    let mut header = [AF_INET, prefix, 0, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let octets = address.octets();
    message(RTM_NEWADDR, &header, &[(IFA_LOCAL, octets), (IFA_ADDRESS, octets)])
}

fn default_route(index: u32, gateway: Ipv4Addr) -> Vec<u8> {
    // `rtmsg`: the main table (254), made by the boot (3), a route of unicast (1).
    let header = [AF_INET, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
    let attributes = [(RTA_GATEWAY, gateway.octets()), (RTA_OIF, index.to_ne_bytes())];
    message(RTM_NEWROUTE, &header, &attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_their_length_and_hold_their_values() {
        let address = Ipv4Addr::new(172, 30, 0, 2);
        for (message, length) in
            [(set_up(7), 32), (new_address(7, address, 24), 40), (default_route(7, address), 44)]
        {
            assert_eq!(message.len(), length);
            assert_eq!(message[..4], u32::try_from(length).unwrap().to_ne_bytes());
        }
        let message = new_address(7, address, 24);
        assert!(message.windows(4).any(|it| it == address.octets()));
    }

    #[test]
    fn loopback_is_found_and_what_is_missing_is_not() {
        assert_eq!(index("lo").unwrap(), 1);
        assert_eq!(index("nothere").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
