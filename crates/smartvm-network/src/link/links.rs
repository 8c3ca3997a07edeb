//! What can be done to links.

use super::found_link::{FoundLink, LinkKind};
use super::link_requests as requests;
use crate::netlink::{NetlinkError, NetlinkSocket, Protocol};
use crate::{InterfaceName, MacAddress};

/// `ETH_DATA_LEN`.
const ETHERNET_MTU: u32 = 1500;

/// The links of one network namespace.
#[derive(Debug)]
pub struct Links {
    pub(super) socket: NetlinkSocket,
}

/// What a link becomes when it is put on a bridge.
#[derive(Debug, Clone, Copy)]
pub struct BridgePort<'a> {
    /// The number of the bridge.
    pub bridge: u32,
    /// The group of links.
    pub group: u32,
    /// Whose it is.
    pub alias: &'a str,
    /// Its hardware address.
    pub mac: MacAddress,
    /// The longest packet that it takes, in bytes; none for what it has.
    pub mtu: Option<u32>,
}

impl Links {
    /// Opens the links of the namespace that the calling thread is in.
    ///
    /// # Errors
    /// When the kernel refuses a socket.
    pub fn open() -> Result<Self, NetlinkError> {
        Ok(Self { socket: NetlinkSocket::open(Protocol::Route)? })
    }

    /// The link with a name.
    ///
    /// # Errors
    /// What the kernel answers, but not that there is none.
    pub fn find(&mut self, name: &InterfaceName) -> Result<Option<FoundLink>, NetlinkError> {
        match self.socket.get("look for link", name.as_str(), &requests::get(name)) {
            Ok(answers) => Ok(answers.iter().find_map(FoundLink::read)),
            Err(error) if error.is(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The link with a number.
    ///
    /// # Errors
    /// What the kernel answers, but not that there is none.
    pub fn with_index(&mut self, index: u32) -> Result<Option<FoundLink>, NetlinkError> {
        match self.socket.get("look for link", &index.to_string(), &requests::get_index(index)) {
            Ok(answers) => Ok(answers.iter().find_map(FoundLink::read)),
            Err(error) if error.is(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All links.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn all(&mut self) -> Result<Vec<FoundLink>, NetlinkError> {
        let answers = self.socket.dump("list", "links", &requests::get_all())?;
        Ok(answers.iter().filter_map(FoundLink::read).collect())
    }

    /// The links of a group.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn of_group(&mut self, group: u32) -> Result<Vec<FoundLink>, NetlinkError> {
        Ok(self.all()?.into_iter().filter(|link| link.group == group).collect())
    }

    /// Makes a bridge, down, with an alias that says whose it is. It takes no part in spanning tree, and
    /// keeps its address and MTU, by default 1,500 bytes, whatever links come and go.
    ///
    /// # Errors
    /// What the kernel answers; `EEXIST` when the name is taken.
    pub fn make_bridge(
        &mut self,
        name: &InterfaceName,
        mac: MacAddress,
        mtu: Option<u32>,
        alias: &str,
    ) -> Result<(), NetlinkError> {
        let mtu = mtu.unwrap_or(ETHERNET_MTU);
        let request = requests::new_bridge(name, mac, mtu);
        self.socket.request("make bridge", name.as_str(), &request)?;
        let request = requests::own_bridge(name, mtu, alias);
        self.socket.request("write the owner on bridge", name.as_str(), &request)
    }

    /// Brings a link up or down.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn set_up(&mut self, name: &InterfaceName, up: bool) -> Result<(), NetlinkError> {
        let operation = if up { "bring up link" } else { "bring down link" };
        self.socket.request(operation, name.as_str(), &requests::set_up(name, up))
    }

    /// Puts a link that is down on a bridge, into a group, and writes on it whose it is. It is dormant: brought
    /// up, it carries packets from when somebody opens its other end, and costs the bridge nothing until then.
    ///
    /// # Errors
    /// What the kernel answers; the link may be in the group then.
    pub fn join(
        &mut self,
        name: &InterfaceName,
        port: &BridgePort<'_>,
    ) -> Result<(), NetlinkError> {
        let request = requests::join(name, port);
        self.socket.request("put on the bridge link", name.as_str(), &request)
    }

    /// Puts a link that was [on the bridge](Self::join) before on it again.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn rejoin(&mut self, name: &InterfaceName, bridge: u32) -> Result<(), NetlinkError> {
        let request = requests::rejoin(name, bridge);
        self.socket.request("put back on its bridge link", name.as_str(), &request)
    }

    /// Brings up a link of a bridge, which learns nothing from it: who is behind it is
    /// [`pinned`](Self::pin). Isolated, it exchanges nothing with other isolated links of it.
    ///
    /// # Errors
    /// What the kernel answers; the link is down then.
    pub fn open_port(&mut self, name: &InterfaceName, isolated: bool) -> Result<(), NetlinkError> {
        let request = requests::open_port(name, isolated);
        self.socket.request("bring up on its bridge link", name.as_str(), &request)
    }

    /// Removes a link; to be gone already is success. The kernel takes some 16 ms.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn remove(&mut self, name: &InterfaceName) -> Result<(), NetlinkError> {
        gone(self.socket.request("remove link", name.as_str(), &requests::delete(name)))
    }

    /// Puts a link into another group; to be gone already is success.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn move_to_group(&mut self, name: &InterfaceName, group: u32) -> Result<(), NetlinkError> {
        let request = requests::move_to_group(name, group);
        gone(self.socket.request("change the group of link", name.as_str(), &request))
    }

    /// Removes all links of a group in one request, which takes little longer than one link.
    ///
    /// # Errors
    /// What the kernel answers, but not that there is none.
    pub fn remove_group(&mut self, group: u32) -> Result<(), NetlinkError> {
        let object = format!("{group:#x}");
        gone(self.socket.request("remove link group", &object, &requests::delete_group(group)))
    }

    /// The links that are on a bridge.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn ports(&mut self, bridge: &FoundLink) -> Result<Vec<FoundLink>, NetlinkError> {
        debug_assert_eq!(bridge.kind, LinkKind::Bridge);
        Ok(self.all()?.into_iter().filter(|link| link.master == Some(bridge.index)).collect())
    }
}

fn gone(done: Result<(), NetlinkError>) -> Result<(), NetlinkError> {
    match done {
        Err(error) if error.is(libc::ENODEV) => Ok(()),
        done => done,
    }
}
