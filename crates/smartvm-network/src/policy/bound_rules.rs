//! From bounds to rules: a guest's packets that begin a connection are counted, before anything else is done
//! with them.
//!
//! Guests with the same bounds share two chains; what each has begun and has open is counted by its address, in
//! sets that the packets fill themselves. A packet that cannot be counted is dropped.

use super::guest_bounds::GuestBounds;
use crate::InterfaceName;
use crate::nft::{Action, Base, Bound, Chain, ChainKind, Field, Hook, Match, Rule, Set, SetData};

/// `NF_IP_PRI_MANGLE`: when the connection is known, and before its destination is changed.
const KNOWN: i32 = -150;
/// Guests with bounds of their own, and where they lead.
pub(super) const OWN: &str = "bounds";
const CONNECTING: &str = "connecting";
const CONNECTED: &str = "connected";

impl GuestBounds {
    /// The names of the two chains of bounds that are a guest's own, the one that leads to the other first.
    #[must_use]
    pub fn chain_names(self) -> [String; 2] {
        let Self { connections, new_connections_per_second: new } = self;
        [format!("new-{new}-{connections}"), format!("open-{new}-{connections}")]
    }

    /// The names of the two chains of guests that have none of their own.
    pub(crate) fn network_chain_names() -> [String; 2] {
        ["new_connections", "open_connections"].map(str::to_owned)
    }

    /// The two chains of bounds that are a guest's own.
    #[must_use]
    pub fn chains_of(self) -> [Chain; 2] {
        self.chains(self.chain_names())
    }

    fn chains(self, [new, open]: [String; 2]) -> [Chain; 2] {
        let count = |set: &str, bound| Match::Within { set: set.to_owned(), bound };
        let rate = self.new_connections_per_second.get();
        let may_begin = count(CONNECTING, Bound::Rate { per_second: rate, burst: self.burst() });
        let may_open = count(CONNECTED, Bound::Connections(self.connections.get()));
        [
            Chain {
                name: new,
                base: None,
                rules: vec![Rule::new([may_begin], Action::Goto(open.clone())), Rule::drop([])],
            },
            Chain {
                name: open,
                base: None,
                rules: vec![Rule::new([may_open], Action::Accept), Rule::drop([])],
            },
        ]
    }
}

/// The chains that the guests behind a bridge begin connections through.
pub(super) fn chains(bounds: GuestBounds, bridge: &InterfaceName) -> Vec<Chain> {
    let names = GuestBounds::network_chain_names();
    let inside = Match::InterfaceIn { name: bridge.clone(), not: false };
    let begins = Rule::new([inside, Match::Begins], Action::Goto("begins".to_owned()));
    let base = Base { kind: ChainKind::Filter, hook: Hook::Prerouting, priority: KNOWN };
    let own = Action::Lookup { fields: vec![Field::IpSource], map: OWN.to_owned() };
    let begin = vec![Rule::new([], own), Rule::new([], Action::Goto(names[0].clone()))];
    let mut chains = vec![
        Chain { name: "count".to_owned(), base: Some(base), rules: vec![begins] },
        Chain { name: "begins".to_owned(), base: None, rules: begin },
    ];
    chains.extend(bounds.chains(names));
    chains
}

/// The sets that packets fill.
pub(super) fn sets() -> [Set; 2] {
    [(CONNECTING, SetData::Rates), (CONNECTED, SetData::Connections)].map(|(name, data)| Set {
        name: name.to_owned(),
        key: vec![Field::IpSource],
        data,
        elements: Vec::new(),
    })
}
