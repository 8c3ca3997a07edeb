//! Taking the way out away, from the way itself to its locks.

use std::fmt;

use super::set_up::is_address_of_none;
use super::{WireGuardEgress, WireGuardStep as Step};
use crate::link::Links;
use crate::names;
use crate::netlink::NetlinkError;
use crate::routing::{PolicyRouting, Route, RouteKind, Rule};

/// Something of a WireGuard egress could not be removed. Code `WIREGUARD_CLEANUP_FAILED`.
#[derive(Debug)]
pub struct RemoveWireGuardError {
    failures: Vec<NetlinkError>,
}

impl RemoveWireGuardError {
    /// Each failure, in the order in which they came; at least one.
    #[must_use]
    pub fn failures(&self) -> &[NetlinkError] {
        &self.failures
    }

    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "WIREGUARD_CLEANUP_FAILED"
    }
}

impl fmt::Display for RemoveWireGuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot remove all of the way through WireGuard")?;
        if self.failures.len() > 1 {
            write!(f, " ({} failures)", self.failures.len())?;
        }
        Ok(())
    }
}

impl std::error::Error for RemoveWireGuardError {
    /// The first failure.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.failures.first().map(|first| first as _)
    }
}

pub(super) fn remove(
    egress: &WireGuardEgress,
    before: &mut dyn FnMut(Step) -> Result<(), NetlinkError>,
) -> Result<(), RemoveWireGuardError> {
    let open = || Ok((PolicyRouting::open()?, Links::open()?));
    let (routing, links) =
        open().map_err(|failure| RemoveWireGuardError { failures: vec![failure] })?;
    let mut removal = Removal { routing, links, before, failures: Vec::new() };
    removal.perform(egress);
    if removal.failures.is_empty() {
        Ok(())
    } else {
        Err(RemoveWireGuardError { failures: removal.failures })
    }
}

/// Goes on whatever fails.
struct Removal<'a> {
    routing: PolicyRouting,
    links: Links,
    before: &'a mut dyn FnMut(Step) -> Result<(), NetlinkError>,
    failures: Vec<NetlinkError>,
}

impl Removal<'_> {
    fn perform(&mut self, egress: &WireGuardEgress) {
        let listed = self.routing.rules();
        let rules: Vec<Rule> = self.keep(listed).unwrap_or_default();
        let others =
            rules.iter().filter(|rule| !rule.is_from(egress.subnet) && !rule.is_of_address());
        let used_by_others: Vec<u32> = others.filter_map(Rule::egress_table).collect();
        let is_ours =
            |rule: &&Rule| rule.is_from(egress.subnet) || is_address_of_none(rule, &used_by_others);
        let ours: Vec<Rule> = rules.iter().filter(is_ours).copied().collect();
        // A table that no rule names any more was left by a removal that did not come to its end.
        let listed = self.routing.default_routes();
        let mut routes = self.keep(listed).unwrap_or_default();
        routes.retain(|route| route.is_ours() && !used_by_others.contains(&route.table));
        let (locks, ways): (Vec<Route>, Vec<Route>) =
            routes.into_iter().partition(|route| route.kind == RouteKind::Unreachable);

        self.remove_routes(&ways);
        self.remove_interfaces(egress);
        self.remove_routes(&locks);
        // The rule that refuses goes last.
        for is_lock in [false, true] {
            for rule in ours.iter().filter(|rule| rule.is_lock() == is_lock) {
                let done =
                    (self.before)(Step::RemoveRule).and_then(|()| self.routing.remove_rule(rule));
                self.keep(done);
            }
        }
    }

    fn remove_routes(&mut self, routes: &[Route]) {
        for route in routes {
            let done =
                (self.before)(Step::RemoveRoute).and_then(|()| self.routing.remove_route(route));
            self.keep(done);
        }
    }

    fn remove_interfaces(&mut self, egress: &WireGuardEgress) {
        let listed = self.links.of_group(names::wireguard_group(&egress.network));
        for link in self.keep(listed).unwrap_or_default() {
            let name = link.name.parse().ok().filter(|_| egress.made(&link));
            if let Some(name) = name {
                let done =
                    (self.before)(Step::RemoveInterface).and_then(|()| self.links.remove(&name));
                self.keep(done);
            }
        }
    }

    /// What came out, if it did; else the failure is kept.
    fn keep<T>(&mut self, done: Result<T, NetlinkError>) -> Option<T> {
        done.map_err(|failure| self.failures.push(failure)).ok()
    }
}
