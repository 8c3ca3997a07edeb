//! A packet of which a part is known.

use std::net::Ipv4Addr;

use serde::Serialize;

use super::verdict::Holds;
use crate::InterfaceName;

/// A kind of packets that guests depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum GuestTraffic {
    /// Connections that guests make.
    Connections,
    /// Answers to them.
    Answers,
    /// Connections to published ports.
    Published,
}

/// Bytes, as far as they are known.
pub(super) type Known = Vec<Option<u8>>;

/// Whether bytes are the wanted ones, as far as they are known.
pub(super) fn equals(value: &[Option<u8>], wanted: &[u8]) -> Holds {
    let differs =
        value.iter().zip(wanted).any(|(byte, wanted)| byte.is_some_and(|it| it != *wanted));
    if differs {
        Holds::No
    } else if value.iter().all(Option::is_some) {
        Holds::Yes
    } else {
        Holds::Maybe
    }
}

/// A TCP packet of guests on its way through the host.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) traffic: GuestTraffic,
    /// Whether it has been answered on its connection before.
    answered: bool,
    /// The names of the links that it comes in and goes out by.
    pub(super) link_in: Known,
    pub(super) link_out: Known,
    /// Its IPv4 header.
    pub(super) header: Known,
}

/// `NF_CT_STATE_BIT` of established and of new.
const ESTABLISHED: u32 = 2;
const NEW: u32 = 8;
/// `IPS_DST_NAT`, and `IPS_SEEN_REPLY`, `IPS_CONFIRMED` and `IPS_SRC_NAT`.
const LED: u32 = 0x20;
const ANSWERED: u32 = 2 | 8 | 0x10;
const TCP: u8 = 6;

impl Probe {
    /// The packets of a kind of a guest with this address, which leave by `uplink` if that is known: that which begins a
    /// connection, and those that go on with it.
    pub(super) fn all(
        traffic: GuestTraffic,
        bridge: &InterfaceName,
        uplink: Option<&str>,
        guest: Ipv4Addr,
    ) -> impl Iterator<Item = Self> {
        let goes_on = Self::new(traffic, bridge, uplink, guest);
        let begins = Self { answered: false, ..goes_on.clone() };
        let begins = Some(begins).filter(|_| traffic != GuestTraffic::Answers);
        begins.into_iter().chain([goes_on])
    }

    fn new(
        traffic: GuestTraffic,
        bridge: &InterfaceName,
        uplink: Option<&str>,
        guest: Ipv4Addr,
    ) -> Self {
        let bridge = name(Some(bridge.as_str()));
        let uplink = name(uplink);
        let mut header = vec![None; 20];
        header[9] = Some(TCP);
        let (link_in, link_out, at) = match traffic {
            GuestTraffic::Connections => (bridge, uplink, 12),
            GuestTraffic::Answers | GuestTraffic::Published => (uplink, bridge, 16),
        };
        for (byte, known) in header[at..at + 4].iter_mut().zip(guest.octets()) {
            *byte = Some(known);
        }
        Self { traffic, answered: true, link_in, link_out, header }
    }

    /// `ct state`.
    pub(super) const fn state(&self) -> u32 {
        if self.answered { ESTABLISHED } else { NEW }
    }

    /// `ct status`.
    pub(super) const fn status(&self) -> u32 {
        let answered = if self.answered { ANSWERED } else { 0 };
        match self.traffic {
            GuestTraffic::Connections | GuestTraffic::Answers => answered,
            GuestTraffic::Published => answered | LED,
        }
    }

    pub(super) const fn protocol(&self) -> u8 {
        TCP
    }
}

fn name(name: Option<&str>) -> Known {
    let Some(name) = name else { return vec![None; 16] };
    let mut bytes: Known = name.bytes().map(Some).collect();
    bytes.resize(16, Some(0));
    bytes
}
