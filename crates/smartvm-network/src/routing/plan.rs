//! What is wanted, as values.

use std::fmt;

use super::route::{Route, RouteKind};
use super::rule::{Action, Rule};
use crate::Subnet;

/// The kernel's main table.
pub(super) const MAIN: u32 = 254;

/// Before the rules of others: those that VPN programs make by default are between 5,200 and 32,766.
pub(super) const TO_GUESTS: u32 = 5149;
const WITHIN: u32 = 5150;
pub(super) const EGRESS: u32 = 5151;
const LOCK: u32 = 5152;

/// The rules and routes that send what leaves a subnet through one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoutingPlan {
    pub(crate) subnet: Subnet,
    pub(crate) table: u32,
    /// Whether what cannot take this way is refused instead of taking another.
    pub(crate) fail_closed: bool,
}

impl RoutingPlan {
    /// The rules, in the order in which they are made: the lock is there before there is a way, and
    /// goes last.
    ///
    /// 1. What no table answered is refused. So it stays when the table is emptied by others.
    /// 2. Within the subnet, the host's own way to it counts: else the host could not answer its guests.
    /// 3. All else is for our table to decide.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        let from = self.subnet.into();
        let rule = |priority, to, action| Rule { priority, from, to, action };
        let within = Action::Lookup { table: MAIN, suppress: Some(0) };
        let egress = Action::Lookup { table: self.table, suppress: None };
        let mut rules = Vec::new();
        if self.fail_closed {
            rules.push(rule(LOCK, None, Action::Unreachable));
        }
        rules.push(rule(WITHIN, Some(from), within));
        rules.push(rule(EGRESS, None, egress));
        rules
    }

    /// The route that remains when the link goes.
    pub(crate) fn lock(&self) -> Option<Route> {
        self.fail_closed.then(|| Route::lock(self.table))
    }
}

impl fmt::Display for RoutingPlan {
    /// In the form of `ip rule` and `ip route`, in the order in which they are made.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in self.rules() {
            writeln!(f, "{rule}")?;
        }
        let link = Route::through(self.table, 0);
        for route in self.lock().into_iter().chain([link]) {
            let way = match route.kind {
                RouteKind::Link(_) => "default dev INTERFACE",
                RouteKind::Unreachable | RouteKind::Other(_) => "unreachable default",
            };
            let (table, metric) = (route.table, route.metric);
            writeln!(f, "{way} table {table} metric {metric} proto {}", route.protocol)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(fail_closed: bool) -> RoutingPlan {
        RoutingPlan { subnet: Subnet::default(), table: 51820, fail_closed }
    }

    #[test]
    fn a_closed_plan_begins_with_its_lock() {
        assert_eq!(
            plan(true).to_string(),
            "\
5152: from 172.30.0.0/24 unreachable proto 83
5150: from 172.30.0.0/24 to 172.30.0.0/24 lookup main suppress_prefixlength 0 proto 83
5151: from 172.30.0.0/24 lookup 51820 proto 83
unreachable default table 51820 metric 4294967295 proto 83
default dev INTERFACE table 51820 metric 0 proto 83
"
        );
    }

    #[test]
    fn an_open_plan_has_no_lock() {
        assert_eq!(
            plan(false).to_string(),
            "\
5150: from 172.30.0.0/24 to 172.30.0.0/24 lookup main suppress_prefixlength 0 proto 83
5151: from 172.30.0.0/24 lookup 51820 proto 83
default dev INTERFACE table 51820 metric 0 proto 83
"
        );
    }

    proptest! {
        #[test]
        fn what_is_asked_for_is_what_is_read_back(
            address: u32, prefix in 1..=30u8, table in 1..=u32::MAX, fail_closed: bool, link: u32,
        ) {
            let subnet = format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(address));
            let plan = RoutingPlan { subnet: subnet.parse().unwrap(), table, fail_closed };
            for rule in plan.rules() {
                prop_assert_eq!(Rule::read(&rule.request(32, 0).read_back()), Some(rule));
                prop_assert!(rule.is_from(plan.subnet));
            }
            let to_guests = Rule::to_subnet(plan.subnet);
            prop_assert_eq!(Rule::read(&to_guests.request(32, 0).read_back()), Some(to_guests));
            prop_assert_eq!((to_guests.egress_table(), to_guests.is_from(plan.subnet)), (None, false));
            let tables: Vec<_> = plan.rules().iter().filter_map(Rule::egress_table).collect();
            prop_assert_eq!(tables, [table]);
            for route in plan.lock().into_iter().chain([Route::through(table, link)]) {
                let message = route.request(24, 0).read_back();
                prop_assert_eq!(Route::read(&message), Some(route));
            }
        }
    }
}
