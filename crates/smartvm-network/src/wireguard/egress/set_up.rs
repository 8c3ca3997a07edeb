//! Making the way out, from its locks to the way itself.

use super::set_up_error::{SetUpProblem, SetUpWireGuardError};
use super::{WireGuardEgress, WireGuardStep as Step};
use crate::link::{FoundLink, Links};
use crate::netlink::NetlinkError;
use crate::routing::{PolicyRouting, Route, RouteKind, RoutingPlan, Rule};
use crate::wireguard::config::WireGuardConfig;
use crate::wireguard::device::WireGuardSocket;
use crate::wireguard::interface::{DEFAULT_MTU, WireGuardLinks, endpoints};
use crate::wireguard::record::WireGuardRecord;
use crate::{InterfaceName, names};

/// What this set-up has made, and would have to remove again.
#[derive(Debug)]
enum Made {
    Rule(Rule),
    Route(Route),
    Interface,
}

/// What is to be.
pub(super) struct Wanted<'a> {
    pub(super) record: &'a WireGuardRecord,
    /// None when there is nothing to configure, or it is not known how: what is there must do then.
    pub(super) config: Option<&'a WireGuardConfig>,
}

struct SetUp<'a> {
    egress: &'a WireGuardEgress,
    wanted: &'a Wanted<'a>,
    plan: RoutingPlan,
    routing: PolicyRouting,
    links: Links,
    before: &'a mut dyn FnMut(Step) -> Result<(), NetlinkError>,
    made: Vec<Made>,
}

pub(super) fn set_up(
    egress: &WireGuardEgress,
    wanted: &Wanted<'_>,
    before: &mut dyn FnMut(Step) -> Result<(), NetlinkError>,
) -> Result<(), SetUpWireGuardError> {
    let WireGuardRecord { interface: name, route_table, fail_closed, .. } = wanted.record;
    let kernel = |source| SetUpProblem::Kernel { name: name.clone(), source };
    let open = || Ok((PolicyRouting::open()?, Links::open()?));
    let (routing, links) =
        open().map_err(|source| SetUpWireGuardError::new(kernel(source), Vec::new()))?;
    let plan =
        RoutingPlan { subnet: egress.subnet, table: *route_table, fail_closed: *fail_closed };
    let mut set_up = SetUp { egress, wanted, plan, routing, links, before, made: Vec::new() };
    set_up.perform().map_err(|problem| {
        let not_undone = set_up.undo();
        SetUpWireGuardError::new(problem, not_undone)
    })
}

impl SetUp<'_> {
    fn perform(&mut self) -> Result<(), SetUpProblem> {
        let found = self.find()?;
        let rules = self.kernel(|it| it.routing.rules())?;
        let table = self.examine_table(found.as_ref(), &rules)?;
        self.kernel(|it| it.make_locks(&rules, &table))?;
        let link = match (self.wanted.config, found) {
            (Some(config), found) => self.make_interface(config, found)?,
            (None, Some(link)) => self.kernel(|it| it.bring_up(&link).map(|()| link.index))?,
            (None, None) => unreachable!("what cannot be made was looked for first"),
        };
        self.kernel(|it| it.bind_addresses(link, &rules))?;
        self.kernel(|it| it.open_way(link, &table))?;
        self.kernel(|it| it.remove_stale(link, &rules))
    }

    fn kernel<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, NetlinkError>,
    ) -> Result<T, SetUpProblem> {
        let name = self.name().clone();
        work(self).map_err(|source| SetUpProblem::Kernel { name, source })
    }

    /// The interface, if it is there and may be used.
    fn find(&mut self) -> Result<Option<FoundLink>, SetUpProblem> {
        let name = self.name().clone();
        let found = self.kernel(|it| it.links.find(&name))?;
        let Some(link) = &found else {
            return match (&self.wanted.record.managed, self.wanted.config) {
                (Some(_), Some(_)) => Ok(None),
                (Some(_), None) => Err(SetUpProblem::NotConfigured { name }),
                (None, _) => Err(SetUpProblem::NoInterface { name }),
            };
        };
        match (&self.wanted.record.managed, self.wanted.config) {
            (None, _) if !link.up => Err(SetUpProblem::Down { name }),
            (Some(_), _) if !self.egress.made(link) => Err(SetUpProblem::NameTaken { name }),
            (Some(digest), None) if !self.is_configured(link, digest) => {
                Err(SetUpProblem::NotConfigured { name })
            }
            _ => Ok(found),
        }
    }

    /// The default routes of our table, of which none may be somebody else's and lead elsewhere.
    fn examine_table(
        &mut self,
        found: Option<&FoundLink>,
        rules: &[Rule],
    ) -> Result<Vec<Route>, SetUpProblem> {
        let table = self.plan.table;
        let mut routes = self.kernel(|it| it.routing.default_routes())?;
        routes.retain(|route| route.table == table);
        let shared = self.tables_of_others(rules).contains(&table);
        for route in &routes {
            let link = match route.kind {
                RouteKind::Link(link) if Some(link) == found.map(|found| found.index) => continue,
                RouteKind::Unreachable if route.is_ours() => continue,
                // Left by an earlier configuration of this network.
                RouteKind::Link(_) if route.is_ours() && !shared => continue,
                RouteKind::Link(link) => Some(link),
                RouteKind::Unreachable | RouteKind::Other(_) => None,
            };
            let all = self.kernel(|it| it.links.all())?;
            let through = all.into_iter().find(|known| Some(known.index) == link);
            let leads = through.map_or_else(
                || format!("not through `{}`", self.name()),
                |through| format!("through `{}`", through.name),
            );
            return Err(SetUpProblem::ForeignRoute { table, leads });
        }
        Ok(routes)
    }

    fn make_locks(&mut self, rules: &[Rule], table: &[Route]) -> Result<(), NetlinkError> {
        for rule in self.plan.rules() {
            if !rules.contains(&rule) {
                (self.before)(Step::AddRule)?;
                if self.routing.add_rule(&rule)? {
                    self.made.push(Made::Rule(rule));
                }
            }
        }
        if let Some(lock) = self.plan.lock().filter(|lock| !table.contains(lock)) {
            (self.before)(Step::AddLockRoute)?;
            if self.routing.add_route(&lock)? {
                self.made.push(Made::Route(lock));
            }
        }
        Ok(())
    }

    /// Makes the managed interface, or brings the one that is there up to date; its number.
    fn make_interface(
        &mut self,
        config: &WireGuardConfig,
        found: Option<FoundLink>,
    ) -> Result<u32, SetUpProblem> {
        let name = self.name().clone();
        let digest = self.wanted.record.managed.as_deref().unwrap_or_default();
        let alias = names::wireguard_alias(&self.egress.network, digest);
        let is_configured = found.as_ref().is_some_and(|link| self.is_configured(link, digest));
        let endpoints = if is_configured {
            Vec::new()
        } else {
            endpoints(config).map_err(|(host, source)| SetUpProblem::Endpoint { host, source })?
        };
        self.kernel(|it| {
            let mut own = WireGuardLinks::open()?;
            if found.is_none() {
                (it.before)(Step::CreateInterface)?;
                own.create(&name, names::wireguard_group(&it.egress.network))?;
                it.made.push(Made::Interface);
            }
            let link = it.link(&name)?;
            if !is_configured {
                (it.before)(Step::Configure)?;
                WireGuardSocket::open()?.configure(&name, config, &endpoints)?;
            }
            it.set_addresses(&mut own, link.index, config)?;
            let mtu = config.mtu.unwrap_or(DEFAULT_MTU);
            if link.mtu != u32::from(mtu) {
                (it.before)(Step::SetMtu)?;
                own.set_mtu(&name, mtu)?;
            }
            it.bring_up(&link)?;
            if !is_configured {
                // Last: an interface with this name is known to be whole.
                (it.before)(Step::MarkConfigured)?;
                own.set_alias(&name, &alias)?;
            }
            Ok(link.index)
        })
    }

    fn name(&self) -> &InterfaceName {
        &self.wanted.record.interface
    }

    /// Whether a managed interface was configured to its end, and as that digest says.
    fn is_configured(&self, link: &FoundLink, digest: &str) -> bool {
        link.alias == Some(names::wireguard_alias(&self.egress.network, digest))
    }

    fn bring_up(&mut self, link: &FoundLink) -> Result<(), NetlinkError> {
        if link.up {
            return Ok(());
        }
        (self.before)(Step::BringUp)?;
        let name = self.name().clone();
        self.links.set_up(&name, true)
    }

    fn link(&mut self, name: &InterfaceName) -> Result<FoundLink, NetlinkError> {
        let gone = || std::io::Error::from_raw_os_error(libc::ENODEV);
        let found = self.links.find(name)?;
        found.ok_or_else(|| NetlinkError::new("look for link", name.as_str(), gone()))
    }

    fn set_addresses(
        &mut self,
        own: &mut WireGuardLinks,
        link: u32,
        config: &WireGuardConfig,
    ) -> Result<(), NetlinkError> {
        let known = self.links.addresses(link)?;
        let known: Vec<_> = known
            .into_iter()
            .filter_map(|(address, prefix)| ipnet::Ipv4Net::new(address, prefix).ok())
            .collect();
        for address in config.addresses.iter().filter(|address| !known.contains(address)) {
            (self.before)(Step::ChangeAddress)?;
            own.add_address(link, *address)?;
        }
        for address in known.iter().filter(|address| !config.addresses.contains(address)) {
            (self.before)(Step::ChangeAddress)?;
            own.remove_address(link, *address)?;
        }
        Ok(())
    }

    /// The tables that other networks' packets are routed by.
    fn tables_of_others(&self, rules: &[Rule]) -> Vec<u32> {
        let others =
            rules.iter().filter(|rule| !rule.is_from(self.plan.subnet) && !rule.is_of_address());
        others.filter_map(Rule::egress_table).collect()
    }

    /// What the host answers to packets out of a tunnel of ours goes back into it: an ICMP error repeats the
    /// packet that it is about, such as a late answer to a guest.
    fn bind_addresses(&mut self, link: u32, rules: &[Rule]) -> Result<(), NetlinkError> {
        for rule in self.address_rules(link)? {
            if !rules.contains(&rule) {
                (self.before)(Step::AddRule)?;
                if self.routing.add_rule(&rule)? {
                    self.made.push(Made::Rule(rule));
                }
            }
        }
        Ok(())
    }

    fn address_rules(&mut self, link: u32) -> Result<Vec<Rule>, NetlinkError> {
        if self.wanted.record.managed.is_none() {
            return Ok(Vec::new());
        }
        let addresses = self.links.addresses(link)?.into_iter();
        Ok(addresses.map(|(address, _)| Rule::of_address(address, self.plan.table)).collect())
    }

    fn open_way(&mut self, link: u32, table: &[Route]) -> Result<(), NetlinkError> {
        let leads_there = |route: &&Route| route.kind == RouteKind::Link(link);
        for stale in table.iter().filter(|route| route.is_ours() && !leads_there(route)) {
            if matches!(stale.kind, RouteKind::Link(_)) {
                (self.before)(Step::RemoveStaleRoute)?;
                self.routing.remove_route(stale)?;
            }
        }
        if !table.iter().any(|route| leads_there(&route)) {
            (self.before)(Step::AddRoute)?;
            let route = Route::through(self.plan.table, link);
            if self.routing.add_route(&route)? {
                self.made.push(Made::Route(route));
            }
        }
        Ok(())
    }

    /// What an earlier configuration of this network made and this one has no use for.
    fn remove_stale(&mut self, link: u32, rules: &[Rule]) -> Result<(), NetlinkError> {
        let used_by_others = self.tables_of_others(rules);
        let mut wanted = self.plan.rules();
        wanted.extend(self.address_rules(link)?);
        let ours = |rule: &&Rule| {
            rule.is_from(self.plan.subnet) || is_address_of_none(rule, &used_by_others)
        };
        let stale: Vec<Rule> =
            rules.iter().filter(ours).filter(|rule| !wanted.contains(rule)).copied().collect();
        for rule in &stale {
            (self.before)(Step::RemoveRule)?;
            self.routing.remove_rule(rule)?;
        }
        for route in self.routing.default_routes()? {
            let is_wanted = route.table == self.plan.table
                && (self.plan.fail_closed || route.kind != RouteKind::Unreachable);
            if route.is_ours() && !is_wanted && !used_by_others.contains(&route.table) {
                (self.before)(Step::RemoveRoute)?;
                self.routing.remove_route(&route)?;
            }
        }
        for link in self.links.of_group(names::wireguard_group(&self.egress.network))? {
            let is_used = self.wanted.record.managed.is_some() && link.is(self.name());
            let name = link.name.parse().ok().filter(|_| self.egress.made(&link) && !is_used);
            if let Some(name) = name {
                (self.before)(Step::RemoveInterface)?;
                self.links.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Removes what was made, the last first, so that the locks go last.
    fn undo(&mut self) -> Vec<NetlinkError> {
        let mut failures = Vec::new();
        while let Some(made) = self.made.pop() {
            let undone = match &made {
                Made::Rule(rule) => self.routing.remove_rule(rule),
                Made::Route(route) => self.routing.remove_route(route),
                Made::Interface => self.links.remove(&self.wanted.record.interface),
            };
            failures.extend(undone.err());
        }
        failures
    }
}

/// Whether a rule is about an address of a tunnel, and for a table that no other network uses.
pub(super) fn is_address_of_none(rule: &Rule, used_by_others: &[u32]) -> bool {
    rule.is_of_address() && rule.egress_table().is_none_or(|table| !used_by_others.contains(&table))
}
