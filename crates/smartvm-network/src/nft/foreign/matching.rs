//! Whether a rule is about a packet of which a part is known, and what it then does.

use super::super::kernel as k;
use super::extension;
use super::listing::{Found, Listing};
use super::probe::{Known, Probe, equals};
use super::verdict::{Effect, Holds};
use crate::netlink::{Attributes, Message, NetlinkError};

const META_PROTOCOL: u32 = 1;
const CT_DIRECTION: u32 = 1;
const BITWISE_OPERATION: u16 = 6;
const EXTENSION_NAME: u16 = 1;
const EXTENSION_REVISION: u16 = 2;
const EXTENSION_INFO: u16 = 3;

/// The registers: 16 of four bytes.
#[derive(Debug)]
struct Registers([Option<u8>; 64]);

impl Registers {
    fn at(register: u32) -> Option<usize> {
        let start = match register {
            1..=4 => (register - 1) * 16,
            8..=23 => (register - 8) * 4,
            _ => return None,
        };
        usize::try_from(start).ok()
    }

    fn load(&mut self, register: Option<u32>, value: &[Option<u8>]) {
        let Some(start) = register.and_then(Self::at) else { return };
        for (index, byte) in value.iter().enumerate() {
            if let Some(place) = self.0.get_mut(start + index) {
                *place = *byte;
            }
        }
    }

    /// What is not known fills what could be meant.
    fn forget(&mut self, register: Option<u32>) {
        self.load(register, &[None; 64]);
    }

    fn read(&self, register: Option<u32>, length: usize) -> Known {
        let start = register.and_then(Self::at);
        let known = start.and_then(|start| self.0.get(start..start + length));
        known.map_or_else(|| vec![None; length], <[_]>::to_vec)
    }
}

/// What a rule is about, and does.
pub(super) fn judge(
    rule: &Message,
    probe: &Probe,
    listing: &mut Listing<'_>,
) -> Result<(Holds, Effect), NetlinkError> {
    let mut registers = Registers([None; 64]);
    let mut holds = Holds::Yes;
    let mut effect = Effect::Continue;
    for (_, expression) in rule.attributes(k::HEADER).within(k::RULE_EXPRESSIONS) {
        let expression = Attributes::new(expression);
        let data = expression.within(k::EXPRESSION_DATA);
        let now = match expression.text(k::EXPRESSION_NAME).unwrap_or_default() {
            "meta" => {
                load_meta(&mut registers, data, probe);
                Holds::Yes
            }
            "ct" => {
                load_connection(&mut registers, data, probe);
                Holds::Yes
            }
            "payload" => {
                load_payload(&mut registers, data, probe);
                Holds::Yes
            }
            "bitwise" => {
                bitwise(&mut registers, data);
                Holds::Yes
            }
            "fib" | "socket" | "rt" | "hash" | "numgen" | "osf" | "exthdr" | "byteorder" => {
                registers.forget(data.be32(1));
                registers.forget(data.be32(2));
                Holds::Yes
            }
            "cmp" => compare(&registers, data),
            "lookup" => {
                let (found, verdict) = look_up(&mut registers, data, listing)?;
                effect = verdict.unwrap_or(effect);
                found
            }
            "immediate" => {
                match verdict(data.within(k::IMMEDIATE_DATA)) {
                    Some(verdict) => effect = verdict,
                    None => registers.forget(data.be32(k::IMMEDIATE_DREG)),
                }
                Holds::Yes
            }
            "counter" | "log" | "notrack" | "objref" | "last" | "masq" | "nat" | "redir" => {
                Holds::Yes
            }
            "reject" => {
                effect = Effect::Drop;
                Holds::Yes
            }
            "queue" => {
                effect = Effect::Unknown;
                Holds::Yes
            }
            "match" => {
                let info = data.find(EXTENSION_INFO).unwrap_or_default();
                let revision = data.be32(EXTENSION_REVISION);
                let revision = revision.and_then(|it| u8::try_from(it).ok());
                let name = data.text(EXTENSION_NAME).unwrap_or_default();
                extension::holds(name, revision, info, probe)
            }
            "target" => {
                effect = extension::effect(data.text(EXTENSION_NAME).unwrap_or_default());
                Holds::Yes
            }
            _ => Holds::Maybe,
        };
        holds = holds.min(now);
        if holds == Holds::No {
            break;
        }
    }
    Ok((holds, effect))
}

fn known(bytes: &[u8]) -> Known {
    bytes.iter().copied().map(Some).collect()
}

fn load_meta(registers: &mut Registers, data: Attributes<'_>, probe: &Probe) {
    let register = data.be32(k::META_DREG);
    let value = match data.be32(k::META_KEY) {
        Some(META_PROTOCOL) => known(&0x0800_u16.to_be_bytes()),
        Some(k::META_IIFNAME) => probe.link_in.clone(),
        Some(k::META_OIFNAME) => probe.link_out.clone(),
        Some(k::META_NFPROTO) => known(&[2]),
        Some(k::META_L4PROTO) => known(&[probe.protocol()]),
        _ => return registers.forget(register),
    };
    registers.load(register, &value);
}

fn load_connection(registers: &mut Registers, data: Attributes<'_>, probe: &Probe) {
    let register = data.be32(k::CT_DREG);
    match data.be32(k::CT_KEY) {
        Some(k::CT_STATE) => registers.load(register, &known(&probe.state().to_ne_bytes())),
        Some(k::CT_STATUS) => registers.load(register, &known(&probe.status().to_ne_bytes())),
        Some(CT_DIRECTION) => {
            let answer = probe.traffic == super::GuestTraffic::Answers;
            registers.load(register, &known(&[u8::from(answer)]));
        }
        _ => registers.forget(register),
    }
}

fn load_payload(registers: &mut Registers, data: Attributes<'_>, probe: &Probe) {
    let register = data.be32(k::PAYLOAD_DREG);
    registers.forget(register);
    let number = |kind| data.be32(kind).and_then(|it| usize::try_from(it).ok());
    let range = number(k::PAYLOAD_OFFSET).zip(number(k::PAYLOAD_LENGTH));
    if data.be32(k::PAYLOAD_BASE) == Some(k::BASE_NETWORK)
        && let Some((offset, length)) = range
        && let Some(value) = probe.header.get(offset..offset + length)
    {
        registers.load(register, value);
    }
}

fn bitwise(registers: &mut Registers, data: Attributes<'_>) {
    let target = data.be32(k::BITWISE_DREG);
    let mask = data.within(k::BITWISE_MASK).find(k::DATA_VALUE).unwrap_or_default();
    let xor = data.within(k::BITWISE_XOR).find(k::DATA_VALUE).unwrap_or_default();
    if data.be32(BITWISE_OPERATION).unwrap_or(0) != 0 || mask.len() != xor.len() {
        return registers.forget(target);
    }
    let value = registers.read(data.be32(k::BITWISE_SREG), mask.len());
    let masked = value.iter().zip(mask.iter().zip(xor)).map(|(byte, (mask, xor))| match byte {
        Some(byte) => Some((byte & mask) ^ xor),
        None if *mask == 0 => Some(*xor),
        None => None,
    });
    let masked: Known = masked.collect();
    registers.load(target, &masked);
}

fn compare(registers: &Registers, data: Attributes<'_>) -> Holds {
    let wanted = data.within(k::CMP_DATA).find(k::DATA_VALUE).unwrap_or_default();
    let value = registers.read(data.be32(k::CMP_SREG), wanted.len());
    let equal = equals(&value, wanted);
    match data.be32(k::CMP_OP) {
        Some(k::CMP_EQUAL) => equal,
        Some(k::CMP_NOT_EQUAL) => equal.not(),
        _ => Holds::Maybe,
    }
}

/// Whether a set has what is in a register, and in a map of verdicts which one.
fn look_up(
    registers: &mut Registers,
    data: Attributes<'_>,
    listing: &mut Listing<'_>,
) -> Result<(Holds, Option<Effect>), NetlinkError> {
    let inverted = data.be32(k::LOOKUP_FLAGS).unwrap_or(0) & k::LOOKUP_INVERTED != 0;
    let target = data.be32(k::LOOKUP_DREG);
    let to_verdict = target == Some(k::REGISTER_VERDICT);
    registers.forget(target);
    let unknown = Ok((Holds::Maybe, to_verdict.then_some(Effect::Unknown)));
    let Some(set) = data.text(k::LOOKUP_SET) else { return unknown };
    let Some(length) = listing.key_length(set)? else { return unknown };
    let key = registers.read(data.be32(k::LOOKUP_SREG), length);
    let Some(key) = key.into_iter().collect::<Option<Vec<u8>>>() else { return unknown };
    Ok(match listing.look_up(set, &key)? {
        Found::Unknown => return unknown,
        Found::Nothing => (if inverted { Holds::Yes } else { Holds::No }, None),
        Found::Element(_) if inverted => (Holds::No, None),
        Found::Element(data) => {
            let found = verdict(Attributes::new(&data));
            (Holds::Yes, found.or_else(|| to_verdict.then_some(Effect::Unknown)))
        }
    })
}

/// The verdict in data; none when it is a value.
fn verdict(data: Attributes<'_>) -> Option<Effect> {
    let verdict = data.within(k::DATA_VERDICT);
    let chain = || verdict.text(k::VERDICT_CHAIN).unwrap_or_default().to_owned();
    Some(match verdict.be32(k::VERDICT_CODE)?.cast_signed() {
        k::DROP => Effect::Drop,
        k::ACCEPT => Effect::Accept,
        k::JUMP => Effect::Jump(chain()),
        k::GOTO => Effect::Goto(chain()),
        k::RETURN => Effect::Return,
        // `NFT_CONTINUE`.
        -1 => Effect::Continue,
        _ => Effect::Unknown,
    })
}
