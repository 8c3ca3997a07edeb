//! Reading and changing the kernel's rules and routes.

use super::route::{self, Route};
use super::rule::{self, Rule};
use crate::netlink::{NetlinkError, NetlinkSocket, Protocol, Request};

const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const AF_INET: u8 = 2;

/// The policy routing of one network namespace.
#[derive(Debug)]
pub(crate) struct PolicyRouting {
    socket: NetlinkSocket,
}

impl PolicyRouting {
    /// Opens that of the namespace that the calling thread is in.
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        Ok(Self { socket: NetlinkSocket::open(Protocol::Route)? })
    }

    /// Our rules, for whatever subnet.
    pub(crate) fn rules(&mut self) -> Result<Vec<Rule>, NetlinkError> {
        let mut header = [0; rule::HEADER];
        header[0] = AF_INET;
        let request = Request::new(rule::RTM_GETRULE, 0, &header);
        let answers = self.socket.dump("list", "routing rules", &request)?;
        Ok(answers.iter().filter_map(Rule::read).collect())
    }

    /// The default routes of all tables, whoever made them.
    pub(crate) fn default_routes(&mut self) -> Result<Vec<Route>, NetlinkError> {
        let mut header = [0; route::HEADER];
        header[0] = AF_INET;
        let request = Request::new(route::RTM_GETROUTE, 0, &header);
        let answers = self.socket.dump("list", "routes", &request)?;
        Ok(answers.iter().filter_map(Route::read).collect())
    }

    /// Adds a rule. False when there was one like it.
    pub(crate) fn add_rule(&mut self, rule: &Rule) -> Result<bool, NetlinkError> {
        let request = rule.request(rule::RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
        added(self.socket.request("add routing rule", &rule.to_string(), &request))
    }

    /// Removes a rule of ours; to be gone already is success.
    pub(crate) fn remove_rule(&mut self, rule: &Rule) -> Result<(), NetlinkError> {
        let request = rule.request(rule::RTM_DELRULE, 0);
        gone(self.socket.request("remove routing rule", &rule.to_string(), &request))
    }

    /// Adds a default route. False when there was one like it.
    pub(crate) fn add_route(&mut self, route: &Route) -> Result<bool, NetlinkError> {
        let request = route.request(route::RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
        added(self.socket.request("add a default route to", &object(route), &request))
    }

    /// Removes a default route of ours; to be gone already is success.
    pub(crate) fn remove_route(&mut self, route: &Route) -> Result<(), NetlinkError> {
        let request = route.request(route::RTM_DELROUTE, 0);
        gone(self.socket.request("remove the default route from", &object(route), &request))
    }
}

fn object(route: &Route) -> String {
    format!("routing table {}", route.table)
}

fn added(done: Result<(), NetlinkError>) -> Result<bool, NetlinkError> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.is(libc::EEXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

fn gone(done: Result<(), NetlinkError>) -> Result<(), NetlinkError> {
    match done {
        Err(error) if error.is(libc::ENOENT) || error.is(libc::ESRCH) => Ok(()),
        done => done,
    }
}
