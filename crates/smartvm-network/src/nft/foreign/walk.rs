//! The ways that a packet may take through chains, of which not all is known.

use super::listing::ForwardChain;
use super::probe::Probe;
use super::verdict::{Effect, Holds};
use crate::netlink::NetlinkError;

/// The chains of a table.
pub(super) trait Chains {
    /// How many rules a chain has.
    fn count(&self, chain: &str) -> usize;

    /// Whether a rule of a chain is about a packet, and what it then does.
    fn judge(
        &mut self,
        chain: &str,
        rule: usize,
        probe: &Probe,
    ) -> Result<(Holds, Effect), NetlinkError>;

    /// Whether a rule of a chain leads to another.
    fn leads_to(&self, chain: &str, other: &str) -> bool;
}

/// What may become of a packet in a chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ends {
    accepted: bool,
    dropped: bool,
    /// It comes back to who led it there.
    returned: bool,
}

/// As deep as the kernel lets chains lead to chains.
const DEPTH: u32 = 16;
/// How many rules are looked at before it is given up to know.
const RULES: u32 = 10_000;
/// It is not known what becomes of it.
const UNKNOWN: Ends = Ends { accepted: true, dropped: true, returned: true };

/// Whether a base chain drops a packet, whatever is not known of it.
pub(super) fn stops(
    chains: &mut impl Chains,
    base: &ForwardChain,
    probe: &Probe,
) -> Result<bool, NetlinkError> {
    let ends = walk(chains, &base.name, probe, (0, &mut 0))?;
    let passes = ends.accepted || (ends.returned && !base.drops);
    Ok(!passes)
}

fn walk(
    chains: &mut impl Chains,
    chain: &str,
    probe: &Probe,
    (depth, looked_at): (u32, &mut u32),
) -> Result<Ends, NetlinkError> {
    let mut ends = Ends::default();
    for rule in 0..chains.count(chain) {
        *looked_at += 1;
        if depth > DEPTH || *looked_at > RULES {
            return Ok(UNKNOWN);
        }
        let (holds, effect) = chains.judge(chain, rule, probe)?;
        if holds == Holds::No {
            continue;
        }
        // Whether the next rule may have it.
        let mut goes_on = holds == Holds::Maybe;
        match effect {
            Effect::Continue => goes_on = true,
            Effect::Accept => ends.accepted = true,
            Effect::Drop => ends.dropped = true,
            Effect::Return => ends.returned = true,
            Effect::Jump(next) => {
                let within = walk(chains, &next, probe, (depth + 1, looked_at))?;
                ends.accepted |= within.accepted;
                ends.dropped |= within.dropped;
                goes_on |= within.returned;
            }
            Effect::Goto(next) => {
                let within = walk(chains, &next, probe, (depth + 1, looked_at))?;
                ends.accepted |= within.accepted;
                ends.dropped |= within.dropped;
                ends.returned |= within.returned;
            }
            Effect::Unknown => {
                ends.accepted = true;
                ends.dropped = true;
                goes_on = true;
            }
        }
        if !goes_on {
            return Ok(ends);
        }
    }
    ends.returned = true;
    Ok(ends)
}
