//! What the kernel tells of links, addresses and routes, and whether it may be damage.

use std::collections::BTreeSet;

use crate::link::{FoundLink, RTM_DELLINK, RTM_NEWLINK};
use crate::netlink::Message;
use crate::{InterfaceName, names};

/// The family of what bridges tell of their links besides.
const AF_BRIDGE: u8 = 7;

/// What has changed since the last look.
///
/// A guest that comes or goes makes its link be down or off the bridge for a moment: that is no damage when the moment is
/// over, so that nobody looks at each start of a VM.
#[derive(Debug)]
pub(super) struct HostChanges {
    network: InterfaceName,
    group: u32,
    bridge: Option<u32>,
    /// The link to the tunnel that guests leave through.
    tunnel: Option<InterfaceName>,
    /// Something that all depends on.
    changed: bool,
    /// Links of guests that are not as they should be.
    suspects: BTreeSet<String>,
}

impl HostChanges {
    /// Those of a network whose bridge has that number, and of its tunnel.
    pub(super) fn new(
        network: &InterfaceName,
        bridge: Option<u32>,
        tunnel: Option<&InterfaceName>,
    ) -> Self {
        Self {
            network: network.clone(),
            group: names::link_group(network),
            bridge,
            tunnel: tunnel.cloned(),
            changed: false,
            suspects: BTreeSet::new(),
        }
    }

    /// Takes in what the kernel tells.
    pub(super) fn note(&mut self, message: &Message) {
        let gone = match message.kind() {
            RTM_NEWLINK => false,
            RTM_DELLINK => true,
            // Addresses, routes and rules.
            _ => {
                self.changed = true;
                return;
            }
        };
        if message.header(1) == [AF_BRIDGE] {
            return;
        }
        let Some(link) = FoundLink::read(message) else { return };
        if link.is(&self.network) {
            self.changed |= gone || !link.up || self.bridge != Some(link.index);
            self.bridge = Some(link.index).filter(|_| !gone);
        } else if self.tunnel.as_ref().is_some_and(|tunnel| link.is(tunnel)) {
            self.changed |= gone || !link.up;
        } else if !gone && link.group == self.group && !(link.up && link.master == self.bridge) {
            self.suspects.insert(link.name);
        } else {
            self.suspects.remove(&link.name);
        }
    }

    /// Something was told that could not be kept.
    pub(super) fn note_loss(&mut self) {
        self.changed = true;
    }

    /// Whether there is something to look at.
    pub(super) fn any(&self) -> bool {
        self.changed || !self.suspects.is_empty()
    }

    /// It was looked at.
    pub(super) fn clear(&mut self) {
        self.changed = false;
        self.suspects.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Request;

    const NAME: u16 = 3;
    const MASTER: u16 = 10;
    const GROUP: u16 = 27;

    fn changes() -> HostChanges {
        let tunnel = "svwg0".parse().unwrap();
        HostChanges::new(&InterfaceName::default_bridge(), Some(7), Some(&tunnel))
    }

    fn link(kind: u16, name: &str, group: u32, master: Option<u32>, up: bool) -> Message {
        let mut header = [0; 16];
        header[4] = 7;
        header[8] = u8::from(up);
        let mut request = Request::new(kind, 0, &header);
        request.attributes().text(NAME, name).u32(GROUP, group);
        if let Some(master) = master {
            request.attributes().u32(MASTER, master);
        }
        request.read_back()
    }

    #[test]
    fn a_guest_that_comes_or_goes_is_no_change() {
        let mut changes = changes();
        let (ours, dying) = (changes.group, names::dying_group(&InterfaceName::default_bridge()));
        for (kind, group, master, up, any) in [
            (RTM_NEWLINK, 0, None, false, false),
            (RTM_NEWLINK, ours, Some(7), false, true),
            (RTM_NEWLINK, ours, Some(7), true, false),
            // Taken off, down, on another bridge, and as it was.
            (RTM_NEWLINK, ours, None, true, true),
            (RTM_NEWLINK, ours, Some(7), false, true),
            (RTM_NEWLINK, ours, Some(8), true, true),
            (RTM_NEWLINK, ours, Some(7), true, false),
            (RTM_NEWLINK, dying, Some(7), true, false),
            (RTM_NEWLINK, dying, None, false, false),
            (RTM_NEWLINK, ours, None, false, true),
            (RTM_DELLINK, ours, None, false, false),
        ] {
            changes.note(&link(kind, "svtap", group, master, up));
            assert_eq!(changes.any(), any, "{kind} {group:x} {master:?} {up}");
        }
    }

    #[test]
    fn what_all_guests_depend_on_is_a_change() {
        let noted = |message: &Message| {
            let mut changes = changes();
            changes.note(message);
            let any = changes.any();
            changes.clear();
            any && !changes.any()
        };
        assert!(!noted(&link(RTM_NEWLINK, "svbr0", 0, None, true)));
        assert!(noted(&link(RTM_NEWLINK, "svbr0", 0, None, false)));
        assert!(noted(&link(RTM_DELLINK, "svbr0", 0, None, true)));
        assert!(!noted(&link(RTM_NEWLINK, "svwg0", 0, None, true)));
        assert!(noted(&link(RTM_DELLINK, "svwg0", 0, None, true)));
        assert!(!noted(&link(RTM_NEWLINK, "eth0", 0, None, false)));
        // A route, and a rule.
        assert!(noted(&Request::new(24, 0, &[2; 12]).read_back()));
        assert!(noted(&Request::new(33, 0, &[2; 12]).read_back()));
        // What a bridge tells of a link besides.
        let mut other = Request::new(RTM_DELLINK, 0, &[AF_BRIDGE; 16]);
        other.attributes().text(NAME, "svbr0");
        assert!(!noted(&other.read_back()));
    }
}
