//! Rules as the command `nft` writes and takes them.

use std::fmt;

use super::anonymous_set::AnonymousSet;
use super::elements::{Element, ElementData};
use super::encode::FILLED_BY_PACKETS_SIZE;
use super::field::{fields_text, type_text};
use super::ruleset::{
    Action, Base, Bound, Chain, ChainKind, Family, FlowRange, Hook, Match, Rule, Ruleset, Set,
    SetData, Table,
};

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tables.iter().try_for_each(|table| write!(f, "{table}"))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table {} {} {{", self.family, self.name)?;
        self.sets.iter().try_for_each(|set| write!(f, "{set}"))?;
        self.chains.iter().try_for_each(|chain| write!(f, "{chain}"))?;
        writeln!(f, "}}")
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Bridge => "bridge",
        })
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, data) = match self.data {
            SetData::None | SetData::Rates | SetData::Connections => ("set", ""),
            SetData::Verdict => ("map", " : verdict"),
            SetData::Target => ("map", " : ipv4_addr . inet_service"),
        };
        writeln!(f, "\t{kind} {} {{", self.name)?;
        writeln!(f, "\t\ttype {}{data}", type_text(&self.key))?;
        if self.data.is_filled_by_packets() {
            let rates = self.data == SetData::Rates;
            let (flags, timeout) = if rates { (",timeout", "\t\ttimeout 1m\n") } else { ("", "") };
            writeln!(f, "\t\tsize {FILLED_BY_PACKETS_SIZE}\n\t\tflags dynamic{flags}")?;
            f.write_str(timeout)?;
        }
        if !self.elements.is_empty() {
            let elements: Vec<_> = self.elements.iter().map(Element::to_string).collect();
            writeln!(f, "\t\telements = {{ {} }}", elements.join(", "))?;
        }
        writeln!(f, "\t}}")
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.data {
            ElementData::None => Ok(()),
            ElementData::Jump(chain) => write!(f, " : jump {chain}"),
            ElementData::Target(address, port) => write!(f, " : {address} . {port}"),
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\tchain {} {{", self.name)?;
        if let Some(base) = self.base {
            writeln!(f, "\t\t{base}")?;
        }
        self.rules.iter().try_for_each(|rule| writeln!(f, "\t\t{rule}"))?;
        writeln!(f, "\t}}")
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ChainKind::Filter => "filter",
            ChainKind::Nat => "nat",
        };
        let hook = match self.hook {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
        };
        write!(f, "type {kind} hook {hook} priority {}; policy accept;", self.priority)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.matches.iter().try_for_each(|it| write!(f, "{it} "))?;
        if self.counter {
            f.write_str("counter ")?;
        }
        write!(f, "{}", self.action)
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unless = |not: &bool| if *not { "!= " } else { "" };
        match self {
            Self::InterfaceIn { name, not } => write!(f, "iifname {}\"{name}\"", unless(not)),
            Self::InterfaceOut { name, not } => write!(f, "oifname {}\"{name}\"", unless(not)),
            Self::GroupIn { group, not } => write!(f, "iifgroup {}{group}", unless(not)),
            Self::GroupOut { group, not } => write!(f, "oifgroup {}{group}", unless(not)),
            Self::Ipv4 { not } => write!(f, "meta nfproto {}ipv4", unless(not)),
            Self::EtherType(0x0800) => f.write_str("ether type ip"),
            Self::EtherType(0x0806) => f.write_str("ether type arp"),
            Self::EtherType(kind) => write!(f, "ether type {kind:#06x}"),
            Self::Protocol(number) => write!(f, "meta l4proto {}", protocol(*number)),
            Self::Source { range, not } => write!(f, "ip saddr {}{range}", unless(not)),
            Self::Destination { range, not } => write!(f, "ip daddr {}{range}", unless(not)),
            Self::Flows(flows) => {
                let fields = AnonymousSet::Flows(flows).fields();
                let flows: Vec<_> = flows.iter().map(|flow| format!("{flow} counter")).collect();
                write!(f, "{} {{ {} }}", fields_text(&fields), flows.join(", "))
            }
            Self::SourcePort(port) => write!(f, "th sport {port}"),
            Self::DestinationPorts(ports) => {
                let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
                match &ports[..] {
                    [port] => write!(f, "th dport {port}"),
                    ports => write!(f, "th dport {{ {} }}", ports.join(", ")),
                }
            }
            Self::Established => f.write_str("ct state established,related"),
            Self::Begins => f.write_str("ct status ! confirmed"),
            Self::Within { set, bound } => match bound {
                Bound::Rate { per_second, burst } => write!(
                    f,
                    "update @{set} {{ ip saddr limit rate {per_second}/second burst {burst} packets }}"
                ),
                Bound::Connections(count) => {
                    write!(f, "add @{set} {{ ip saddr ct count {count} }}")
                }
            },
            Self::DestinationChanged => f.write_str("ct status dnat"),
            Self::ToHost => f.write_str("fib daddr type local"),
            Self::InSet { fields, set, not } => {
                write!(f, "{} {}@{set}", fields_text(fields), unless(not))
            }
        }
    }
}

impl fmt::Display for FlowRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(number) = self.protocol {
            write!(f, "{} . ", protocol(number))?;
        }
        if let Some(port) = self.port {
            write!(f, "{port} . ")?;
        }
        write!(f, "{}", self.to)
    }
}

fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        number => number.to_string(),
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Lookup { fields, map } => write!(f, "{} vmap @{map}", fields_text(fields)),
            Self::Masquerade => f.write_str("masquerade"),
            Self::Redirect { fields, map } => {
                write!(f, "dnat ip to {} map @{map}", fields_text(fields))
            }
        }
    }
}
