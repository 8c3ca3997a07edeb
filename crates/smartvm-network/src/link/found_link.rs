//! A link as the kernel describes it.

use super::link_requests::{HEADER, INFO_DATA, INFO_KIND, Ifla};
use crate::InterfaceName;
use crate::netlink::Message;

/// `IFLA_TUN_TYPE`, and what it is for a TUN.
const TUN_TYPE: u16 = 3;
const IFF_TUN: u8 = 1;
/// A link has a carrier.
const IFF_LOWER_UP: u32 = 1 << 16;

/// What sort of link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// A bridge.
    Bridge,
    /// A TAP device, or one of which an older kernel does not tell whether it is.
    Tap,
    /// A TUN device.
    Tun,
    /// Another, by the kernel's name; empty for hardware.
    Other(String),
}

/// A link, as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLink {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What sort of link.
    pub kind: LinkKind,
    /// Whether it is up, as an administrator says.
    pub up: bool,
    /// Whether it has a carrier: of a TAP, whether a program has it open.
    pub is_open: bool,
    /// Its group; 0 unless set.
    pub group: u32,
    /// The number of the bridge it is on.
    pub master: Option<u32>,
    /// What is written on it.
    pub alias: Option<String>,
    /// Its largest packet.
    pub mtu: u32,
}

impl FoundLink {
    /// Reads an `RTM_NEWLINK` or an `RTM_DELLINK`; none when it has no name.
    pub(crate) fn read(message: &Message) -> Option<Self> {
        let header = message.header(HEADER);
        let word = |at: usize| Some(u32::from_ne_bytes(header.get(at..at + 4)?.try_into().ok()?));
        let attributes = message.attributes(HEADER);
        let kind = match attributes.within(Ifla::LINKINFO).text(INFO_KIND) {
            Some("bridge") => LinkKind::Bridge,
            Some("tun") => {
                let data = attributes.within(Ifla::LINKINFO).within(INFO_DATA);
                match data.find(TUN_TYPE) {
                    Some([IFF_TUN]) => LinkKind::Tun,
                    _ => LinkKind::Tap,
                }
            }
            kind => LinkKind::Other(kind.unwrap_or_default().to_owned()),
        };
        Some(Self {
            index: word(4)?,
            name: attributes.text(Ifla::IFNAME)?.to_owned(),
            kind,
            up: word(8)? & 1 != 0,
            is_open: word(8)? & IFF_LOWER_UP != 0,
            group: attributes.u32(Ifla::GROUP).unwrap_or(0),
            master: attributes.u32(Ifla::MASTER),
            alias: attributes.text(Ifla::IFALIAS).map(str::to_owned),
            mtu: attributes.u32(Ifla::MTU).unwrap_or(0),
        })
    }

    /// Whether it has the name.
    #[must_use]
    pub fn is(&self, name: &InterfaceName) -> bool {
        self.name == name.as_str()
    }
}
