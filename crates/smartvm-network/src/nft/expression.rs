//! Rules as the kernel takes them: each a list of expressions over registers.

use super::anonymous_set::{self, AnonymousSet};
use super::field::Field;
use super::kernel as k;
use super::ruleset::{Action, Bound, Family, Match, Rule};
use crate::InterfaceName;
use crate::netlink::AttributeWriter;
use crate::policy::Cidr;

/// Writes a rule's expressions. Its sets without a name are numbered from `first_set`.
///
/// As `nft` does, a rule of the family `inet` that looks into an IPv4 header first asks whether
/// there is one.
pub(super) fn write(family: Family, rule: &Rule, list: &mut AttributeWriter, first_set: u32) {
    let mut next_set = first_set;
    let mut is_ipv4 = family == Family::Bridge;
    for it in &rule.matches {
        match it {
            Match::Ipv4 { not: false } => is_ipv4 = true,
            it if !is_ipv4 && it.reads_ipv4() => {
                write_match(&Match::Ipv4 { not: false }, list, &mut next_set);
                is_ipv4 = true;
            }
            _ => {}
        }
        write_match(it, list, &mut next_set);
    }
    if !is_ipv4 && rule.action.reads_ipv4() {
        write_match(&Match::Ipv4 { not: false }, list, &mut next_set);
    }
    if rule.counter {
        list.nested(k::LIST_ELEMENT, write_counter);
    }
    write_action(&rule.action, list);
}

impl Match {
    fn reads_ipv4(&self) -> bool {
        match self {
            Self::Source { .. } | Self::Destination { .. } | Self::Flows(_) => true,
            Self::Within { .. } => true,
            Self::InSet { fields, .. } => fields.iter().any(|field| field.is_ipv4()),
            _ => false,
        }
    }
}

impl Action {
    fn reads_ipv4(&self) -> bool {
        match self {
            Self::Lookup { fields, .. } | Self::Redirect { fields, .. } => {
                fields.iter().any(|field| field.is_ipv4())
            }
            _ => false,
        }
    }
}

fn write_match(it: &Match, list: &mut AttributeWriter, next_set: &mut u32) {
    if let Some(set) = AnonymousSet::of_match(it) {
        load_fields(list, &set.fields());
        expression(list, "lookup", |data| {
            data.text(k::LOOKUP_SET, anonymous_set::NAME)
                .be32(k::LOOKUP_SREG, k::register(0))
                .be32(k::LOOKUP_SET_ID, *next_set);
        });
        *next_set += 1;
        return;
    }
    match it {
        Match::InterfaceIn { name, not } => meta_is(list, k::META_IIFNAME, &padded(name), *not),
        Match::InterfaceOut { name, not } => meta_is(list, k::META_OIFNAME, &padded(name), *not),
        Match::GroupIn { group, not } => {
            meta_is(list, k::META_IIFGROUP, &group.to_ne_bytes(), *not);
        }
        Match::GroupOut { group, not } => {
            meta_is(list, k::META_OIFGROUP, &group.to_ne_bytes(), *not);
        }
        // `NFPROTO_IPV4`.
        Match::Ipv4 { not } => meta_is(list, k::META_NFPROTO, &[2], *not),
        Match::EtherType(kind) => {
            // From the frame itself: what the kernel says besides leaves out VLAN tags.
            load_payload(list, k::BASE_LINK, 12, 2, k::register(0));
            compare(list, &kind.to_be_bytes(), false);
        }
        Match::Protocol(number) => meta_is(list, k::META_L4PROTO, &[*number], false),
        Match::Source { range, not } => address_in(list, 12, *range, *not),
        Match::Destination { range, not } => address_in(list, 16, *range, *not),
        Match::SourcePort(port) => {
            load_payload(list, k::BASE_TRANSPORT, 0, 2, k::register(0));
            compare(list, &port.to_be_bytes(), false);
        }
        Match::DestinationPorts(ports) => {
            Field::DestinationPort.load(0, list);
            for port in ports {
                compare(list, &port.to_be_bytes(), false);
            }
        }
        Match::Flows(_) => unreachable!("it is a set"),
        // `NF_CT_STATE_BIT` of established and of related.
        Match::Established => connection_has(list, k::CT_STATE, 2 | 4),
        // Not `IPS_CONFIRMED`: that is said of it when its first packet has passed everything.
        Match::Begins => connection_has_bits(list, k::CT_STATUS, 8, false),
        Match::Within { set, bound } => write_bound(list, set, *bound),
        // `IPS_DST_NAT`.
        Match::DestinationChanged => connection_has(list, k::CT_STATUS, 0x20),
        Match::ToHost => {
            expression(list, "fib", |data| {
                data.be32(k::FIB_DREG, k::register(0))
                    .be32(k::FIB_RESULT, k::FIB_ADDRESS_TYPE)
                    .be32(k::FIB_FLAGS, k::FIB_DESTINATION);
            });
            compare(list, &k::TYPE_LOCAL.to_ne_bytes(), false);
        }
        Match::InSet { fields, set, not } => {
            load_fields(list, fields);
            expression(list, "lookup", |data| {
                data.text(k::LOOKUP_SET, set).be32(k::LOOKUP_SREG, k::register(0));
                if *not {
                    data.be32(k::LOOKUP_FLAGS, k::LOOKUP_INVERTED);
                }
            });
        }
    }
}

fn write_action(action: &Action, list: &mut AttributeWriter) {
    match action {
        Action::Accept => verdict(list, k::ACCEPT, None),
        Action::Drop => verdict(list, k::DROP, None),
        Action::Return => verdict(list, k::RETURN, None),
        Action::Goto(chain) => verdict(list, k::GOTO, Some(chain)),
        Action::Jump(chain) => verdict(list, k::JUMP, Some(chain)),
        Action::Lookup { fields, map } => {
            load_fields(list, fields);
            lookup(list, map, k::REGISTER_VERDICT);
        }
        Action::Masquerade => expression(list, "masq", |_| ()),
        Action::Redirect { fields, map } => {
            load_fields(list, fields);
            lookup(list, map, k::register(0));
            expression(list, "nat", |data| {
                data.be32(k::NAT_TYPE, k::NAT_DESTINATION)
                    // `NFPROTO_IPV4`.
                    .be32(k::NAT_FAMILY, 2)
                    .be32(k::NAT_ADDRESS_MIN, k::register(0))
                    .be32(k::NAT_PORT_MIN, k::register(1));
            });
        }
    }
}

/// A counter that begins with nothing.
pub(super) fn write_counter(expression: &mut AttributeWriter) {
    expression.text(k::EXPRESSION_NAME, "counter").nested(k::EXPRESSION_DATA, |data| {
        data.be64(k::COUNTER_BYTES, 0).be64(k::COUNTER_PACKETS, 0);
    });
}

/// One expression of a list.
fn expression(list: &mut AttributeWriter, name: &str, fill: impl FnOnce(&mut AttributeWriter)) {
    list.nested(k::LIST_ELEMENT, |expression| {
        expression.text(k::EXPRESSION_NAME, name).nested(k::EXPRESSION_DATA, fill);
    });
}

pub(super) fn load_meta(list: &mut AttributeWriter, key: u32, register: u32) {
    expression(list, "meta", |data| {
        data.be32(k::META_DREG, register).be32(k::META_KEY, key);
    });
}

pub(super) fn load_payload(
    list: &mut AttributeWriter,
    base: u32,
    offset: u32,
    length: u32,
    register: u32,
) {
    expression(list, "payload", |data| {
        data.be32(k::PAYLOAD_DREG, register)
            .be32(k::PAYLOAD_BASE, base)
            .be32(k::PAYLOAD_OFFSET, offset)
            .be32(k::PAYLOAD_LENGTH, length);
    });
}

fn load_fields(list: &mut AttributeWriter, fields: &[Field]) {
    let mut word = 0;
    for field in fields {
        field.load(word, list);
        word += field.words();
    }
}

fn meta_is(list: &mut AttributeWriter, key: u32, value: &[u8], not: bool) {
    load_meta(list, key, k::register(0));
    compare(list, value, not);
}

fn compare(list: &mut AttributeWriter, value: &[u8], not: bool) {
    let operation = if not { k::CMP_NOT_EQUAL } else { k::CMP_EQUAL };
    expression(list, "cmp", |data| {
        data.be32(k::CMP_SREG, k::register(0)).be32(k::CMP_OP, operation).nested(
            k::CMP_DATA,
            |it| {
                it.bytes(k::DATA_VALUE, value);
            },
        );
    });
}

fn mask(list: &mut AttributeWriter, mask: [u8; 4]) {
    expression(list, "bitwise", |data| {
        data.be32(k::BITWISE_SREG, k::register(0))
            .be32(k::BITWISE_DREG, k::register(0))
            .be32(k::BITWISE_LENGTH, 4)
            .nested(k::BITWISE_MASK, |it| {
                it.bytes(k::DATA_VALUE, &mask);
            })
            .nested(k::BITWISE_XOR, |it| {
                it.bytes(k::DATA_VALUE, &[0; 4]);
            });
    });
}

fn address_in(list: &mut AttributeWriter, offset: u32, range: Cidr, not: bool) {
    let network = range.network().octets();
    let bytes = usize::from(range.prefix() / 8);
    if range.prefix() > 0 && range.prefix().is_multiple_of(8) {
        // Only the bytes that count, as `nft` does: one expression less for the kernel.
        load_payload(list, k::BASE_NETWORK, offset, u32::from(range.prefix() / 8), k::register(0));
        compare(list, &network[..bytes], not);
        return;
    }
    load_payload(list, k::BASE_NETWORK, offset, 4, k::register(0));
    mask(list, range.mask().octets());
    compare(list, &network, not);
}

fn connection_has(list: &mut AttributeWriter, key: u32, bits: u32) {
    connection_has_bits(list, key, bits, true);
}

fn connection_has_bits(list: &mut AttributeWriter, key: u32, bits: u32, any: bool) {
    expression(list, "ct", |data| {
        data.be32(k::CT_DREG, k::register(0)).be32(k::CT_KEY, key);
    });
    mask(list, bits.to_ne_bytes());
    compare(list, &[0; 4], any);
}

/// Counts a packet by its source, and goes on while that keeps the bound.
fn write_bound(list: &mut AttributeWriter, set: &str, bound: Bound) {
    Field::IpSource.load(0, list);
    let operation = match bound {
        Bound::Rate { .. } => k::DYNAMIC_UPDATE,
        Bound::Connections(_) => k::DYNAMIC_ADD,
    };
    expression(list, "dynset", |data| {
        data.text(k::DYNAMIC_SET, set)
            .be32(k::DYNAMIC_OPERATION, operation)
            .be32(k::DYNAMIC_SREG, k::register(0))
            .nested(k::DYNAMIC_EXPRESSION, |expression| match bound {
                Bound::Rate { per_second, burst } => {
                    expression.text(k::EXPRESSION_NAME, "limit");
                    expression.nested(k::EXPRESSION_DATA, |data| {
                        // In packets, a second.
                        data.be64(k::LIMIT_RATE, per_second.into())
                            .be64(k::LIMIT_UNIT, 1)
                            .be32(k::LIMIT_BURST, burst)
                            .be32(k::LIMIT_TYPE, 0)
                            .be32(k::LIMIT_FLAGS, 0);
                    });
                }
                Bound::Connections(count) => {
                    expression.text(k::EXPRESSION_NAME, "connlimit");
                    expression.nested(k::EXPRESSION_DATA, |data| {
                        data.be32(k::CONNECTIONS_COUNT, count);
                    });
                }
            });
    });
}

fn lookup(list: &mut AttributeWriter, map: &str, register: u32) {
    expression(list, "lookup", |data| {
        data.text(k::LOOKUP_SET, map)
            .be32(k::LOOKUP_SREG, k::register(0))
            .be32(k::LOOKUP_DREG, register);
    });
}

fn verdict(list: &mut AttributeWriter, code: i32, chain: Option<&str>) {
    expression(list, "immediate", |data| {
        data.be32(k::IMMEDIATE_DREG, k::REGISTER_VERDICT).nested(k::IMMEDIATE_DATA, |it| {
            write_verdict(it, code, chain);
        });
    });
}

/// A verdict within data.
pub(super) fn write_verdict(data: &mut AttributeWriter, code: i32, chain: Option<&str>) {
    data.nested(k::DATA_VERDICT, |verdict| {
        verdict.be32(k::VERDICT_CODE, code.cast_unsigned());
        if let Some(chain) = chain {
            verdict.text(k::VERDICT_CHAIN, chain);
        }
    });
}

fn padded(name: &InterfaceName) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..name.as_str().len()].copy_from_slice(name.as_str().as_bytes());
    bytes
}
