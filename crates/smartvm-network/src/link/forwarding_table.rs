//! What a bridge knows of who is behind which of its links.

use super::links::Links;
use crate::netlink::{NetlinkError, Request};
use crate::{InterfaceName, MacAddress};

const RTM_NEWNEIGH: u16 = 28;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
/// An entry that neither ages nor is learnt.
const NUD_NOARP: u16 = 0x40;
/// The entry is the bridge's, not the link's own.
const NTF_MASTER: u8 = 0x04;
/// What the bridge learns from other links does not move it.
const NTF_STICKY: u8 = 0x40;
const NDA_LLADDR: u16 = 2;
const AF_BRIDGE: u8 = 7;
/// The length of an `ndmsg`.
const HEADER: usize = 12;

impl Links {
    /// Tells a bridge, for as long as the link is on it, that a hardware address is behind that link: in each
    /// VLAN that the link is in by now. Frames by other links do not change it.
    ///
    /// # Errors
    /// What the kernel answers; `EEXIST` when the bridge knows the address already, be it as its own.
    pub fn pin(&mut self, link: &InterfaceName, mac: MacAddress) -> Result<(), NetlinkError> {
        self.place(link, mac, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// The same once more, whatever the bridge has come to believe of the address.
    ///
    /// # Errors
    /// What the kernel answers; `ENODEV` when the link is gone.
    pub fn pin_again(&mut self, link: &InterfaceName, mac: MacAddress) -> Result<(), NetlinkError> {
        self.place(link, mac, NLM_F_CREATE | NLM_F_REPLACE)
    }

    fn place(
        &mut self,
        link: &InterfaceName,
        mac: MacAddress,
        flags: u16,
    ) -> Result<(), NetlinkError> {
        let operation = "tell the bridge who is behind link";
        let index = self.socket.index_of(operation, link.as_str())?;
        let mut header = [0; HEADER];
        header[0] = AF_BRIDGE;
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        header[8..10].copy_from_slice(&NUD_NOARP.to_ne_bytes());
        header[10] = NTF_MASTER | NTF_STICKY;
        let mut request = Request::new(RTM_NEWNEIGH, flags, &header);
        request.attributes().bytes(NDA_LLADDR, &mac.octets());
        self.socket.request(operation, link.as_str(), &request)
    }
}
