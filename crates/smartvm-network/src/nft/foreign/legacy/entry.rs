//! One rule (`ipt_entry`): what it matches by itself, further matches, and a target.

use super::super::extension;
use super::super::probe::{Known, Probe, equals};
use super::super::verdict::{Effect, Holds};

/// The length of an `ipt_entry` before its matches.
const ENTRY: usize = 112;
/// The length of an `xt_entry_match` and of an `xt_entry_target` before their data.
const EXTENSION: usize = 32;
/// `IPT_F_FRAG` and `IPT_F_GOTO`, flags of an entry.
const FRAGMENTS: u8 = 1;
const GOTO: u8 = 2;
/// `XT_ERROR_TARGET`, which begins a chain and has its name.
const ERROR: &str = "ERROR";

/// A rule in its table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    bytes: &'a [u8],
    target: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The rule that begins with the bytes; none when they are none.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let target = usize::from(half(bytes, 88)?);
        let bytes = bytes.get(..usize::from(half(bytes, 90)?))?;
        let target = bytes.get(target..).filter(|_| target >= ENTRY)?;
        (target.len() >= EXTENSION).then_some(Self { bytes, target })
    }

    pub(super) const fn len(self) -> usize {
        self.bytes.len()
    }

    /// The name of the chain that begins here, if one does.
    pub(super) fn begins(self) -> Option<&'a str> {
        let name = || text(self.target.get(EXTENSION..)?);
        name().filter(|_| self.target_name() == ERROR)
    }

    /// What its target says when that is a verdict: a place in the table, or a negative number.
    pub(super) fn verdict(self) -> Option<i32> {
        let verdict = self.target.get(EXTENSION..EXTENSION + 4)?;
        let verdict = i32::from_ne_bytes(verdict.try_into().ok()?);
        self.target_name().is_empty().then_some(verdict)
    }

    /// What it does; `chain` names the chain whose rules begin at a place, and `next` is where the next rule is.
    pub(super) fn effect(self, next: usize, chain: impl Fn(usize) -> Option<String>) -> Effect {
        let Some(verdict) = self.verdict() else {
            return extension::effect(self.target_name());
        };
        match (verdict, usize::try_from(verdict)) {
            // Of `NF_DROP`, `NF_ACCEPT` and `XT_RETURN` it is the number before minus that.
            (-1, _) => Effect::Drop,
            (-2, _) => Effect::Accept,
            (-5, _) => Effect::Return,
            // A rule without a target.
            (_, Ok(place)) if place == next => Effect::Continue,
            (_, Ok(place)) => match chain(place) {
                Some(name) if self.flags() & GOTO != 0 => Effect::Goto(name),
                Some(name) => Effect::Jump(name),
                None => Effect::Unknown,
            },
            _ => Effect::Unknown,
        }
    }

    /// Whether it is about a packet.
    pub(super) fn holds(self, probe: &Probe) -> Holds {
        let header =
            |at: usize| probe.header.get(at..at + 4).map(<[_]>::to_vec).unwrap_or_default();
        // Which flag inverts it, the packet's, and where the wanted and its mask are.
        let inverted = self.bytes[83];
        let places = [
            (0x08, header(12), 0, 8),
            (0x10, header(16), 4, 12),
            (0x01, probe.link_in.clone(), 16, 48),
            (0x02, probe.link_out.clone(), 32, 64),
        ];
        let mut holds = Holds::Yes;
        for (flag, value, wanted, mask) in places {
            let part = |at: usize| &self.bytes[at..at + value.len()];
            let same = equals(&under(&value, part(mask)), &masked(part(wanted), part(mask)));
            holds = holds.min(same.inverted(inverted & flag != 0));
        }
        let protocol = half(self.bytes, 80).unwrap_or_default();
        if protocol != 0 {
            let same = equals(&[Some(probe.protocol())], &[protocol.to_ne_bytes()[0]]);
            holds = holds.min(same.inverted(inverted & 0x40 != 0));
        }
        if self.flags() & FRAGMENTS != 0 {
            // It is about later parts of packets alone, or with its flag about all but those.
            holds = holds.min(Holds::No.inverted(inverted & 0x20 != 0));
        }
        let known = |flags: u8, all: u8| if flags & !all == 0 { Holds::Yes } else { Holds::Maybe };
        holds = holds.min(known(self.flags(), FRAGMENTS | GOTO)).min(known(inverted, 0x7b));
        self.further(probe, holds)
    }

    /// The same with what its matches say.
    fn further(self, probe: &Probe, mut holds: Holds) -> Holds {
        let mut rest = &self.bytes[ENTRY..self.bytes.len() - self.target.len()];
        while holds != Holds::No && !rest.is_empty() {
            let length = half(rest, 0).map_or(0, usize::from);
            let Some((one, after)) = rest.split_at_checked(length).filter(|_| length >= EXTENSION)
            else {
                return holds.min(Holds::Maybe);
            };
            let name = text(&one[2..31]).unwrap_or_default();
            holds = holds.min(extension::holds(name, Some(one[31]), &one[EXTENSION..], probe));
            rest = after;
        }
        holds
    }

    fn flags(self) -> u8 {
        self.bytes[82]
    }

    fn target_name(self) -> &'a str {
        // One that cannot be read is one that is not known.
        text(&self.target[2..31]).unwrap_or("?")
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// A name up to its first zero.
fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&bytes[..end]).ok()
}

/// What is known of bytes under a mask.
fn under(value: &[Option<u8>], mask: &[u8]) -> Known {
    let known = value.iter().zip(mask).map(|(byte, mask)| match mask {
        0 => Some(0),
        _ => byte.map(|byte| byte & mask),
    });
    known.collect()
}

/// Bytes under a mask; what is not masked need not be zero, such as the sign after the beginning of a link's name.
fn masked(bytes: &[u8], mask: &[u8]) -> Vec<u8> {
    bytes.iter().zip(mask).map(|(byte, mask)| byte & mask).collect()
}
