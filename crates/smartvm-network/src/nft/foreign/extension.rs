//! Matches and targets of iptables, which its two forms have alike.

use super::probe::{GuestTraffic, Probe};
use super::verdict::{Effect, Holds};

/// Whether a match is about a packet; `info` is the match's own data.
pub(super) fn holds(name: &str, revision: Option<u8>, info: &[u8], probe: &Probe) -> Holds {
    match (name, revision) {
        ("comment", _) => Holds::Yes,
        ("conntrack", Some(3)) => conntrack(info, probe).unwrap_or(Holds::Maybe),
        _ => Holds::Maybe,
    }
}

/// `xt_conntrack_mtinfo3`, when it asks for the state alone.
fn conntrack(info: &[u8], probe: &Probe) -> Option<Holds> {
    const STATE: u16 = 1;
    /// It was written as the older match `state`.
    const ALIAS: u16 = 1 << 13;
    const DESTINATION_CHANGED: u16 = 1 << 7;
    let half = |at: usize| Some(u16::from_ne_bytes(info.get(at..at + 2)?.try_into().ok()?));
    let (flags, inverted, states) = (half(146)?, half(148)?, half(150)?);
    if flags & !ALIAS != STATE {
        return None;
    }
    // The bits are those of `ct state`, but for that of a changed destination.
    let led = probe.traffic == GuestTraffic::Published;
    let is_one =
        u32::from(states) & probe.state() != 0 || (led && states & DESTINATION_CHANGED != 0);
    let holds = is_one != (inverted & STATE != 0);
    Some(if holds { Holds::Yes } else { Holds::No })
}

/// What a target does.
pub(super) fn effect(target: &str) -> Effect {
    match target {
        "REJECT" | "DROP" => Effect::Drop,
        "LOG" | "NFLOG" | "MARK" | "CONNMARK" | "TCPMSS" | "CHECKSUM" | "TRACE" | "CT" | "DSCP"
        | "TOS" | "CLASSIFY" => Effect::Continue,
        _ => Effect::Unknown,
    }
}
