//! What the host does not forward although we turned forwarding on for a link.

use std::collections::BTreeSet;

use crate::nft::{
    Action, Base, Chain, ChainKind, Element, Family, Field, Hook, Match, Rule, Ruleset, Set,
    SetData, Table,
};
use crate::{InterfaceName, names};

/// As early as the rules of networks.
const EARLY: i32 = -10;

/// Which links forward for our networks' sake. They are one table for the whole host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardingRules {
    /// Links of others that did not forward before.
    pub opened: BTreeSet<InterfaceName>,
    /// The bridges of all networks.
    pub networks: BTreeSet<InterfaceName>,
}

impl ForwardingRules {
    /// What comes in by one of the links and is for no network is dropped, but for answers, and for what
    /// another program has changed the destination of: that one wants it forwarded.
    #[must_use]
    pub fn render(&self) -> Ruleset {
        let asked =
            |field, set: &str, not| Match::InSet { fields: vec![field], set: set.to_owned(), not };
        let passing = Rule::new(
            [
                asked(Field::InterfaceIn, "opened", false),
                asked(Field::InterfaceOut, "networks", true),
            ],
            Action::Goto("passing".to_owned()),
        );
        let base = Base { kind: ChainKind::Filter, hook: Hook::Forward, priority: EARLY };
        let chains = vec![
            Chain { name: "forward".to_owned(), base: Some(base), rules: vec![passing] },
            Chain {
                name: "passing".to_owned(),
                base: None,
                rules: vec![
                    // Whether that is forwarded is another setting, which is not changed.
                    Rule::new([Match::Ipv4 { not: true }], Action::Accept),
                    Rule::new([Match::Established], Action::Accept),
                    Rule::new([Match::DestinationChanged], Action::Accept),
                    Rule::drop([]),
                ],
            },
        ];
        let set = |name: &str, field, links: &BTreeSet<InterfaceName>| Set {
            name: name.to_owned(),
            key: vec![field],
            data: SetData::None,
            elements: links.iter().map(Element::link).collect(),
        };
        let sets = vec![
            set("opened", Field::InterfaceIn, &self.opened),
            set("networks", Field::InterfaceOut, &self.networks),
        ];
        let table =
            Table { family: Family::Inet, name: names::HOST_TABLE.to_owned(), sets, chains };
        Ruleset { tables: vec![table] }
    }
}
