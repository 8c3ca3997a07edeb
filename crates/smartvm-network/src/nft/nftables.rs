//! Our tables in the kernel.

use super::counters::{self, RuleCounter};
use super::elements::Element;
use super::encode;
use super::kernel as k;
use super::ruleset::{Chain, Family, Ruleset, Table};
use super::verify::{self, NotInForce, Verified};
use crate::netlink::{NetlinkError, NetlinkSocket, Protocol};

/// nftables of one network namespace. Only tables that are named are read or changed.
#[derive(Debug)]
pub struct Nftables {
    socket: NetlinkSocket,
}

/// A part of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds elements that are not there to a set.
    Add(Family, &'static str, Vec<Element>),
    /// Removes elements that are there from a set.
    Remove(Family, &'static str, Vec<Element>),
    /// Makes a chain that nothing leads to yet.
    NewChain(Family, Chain),
    /// Removes a chain that nothing leads to any more, with its rules.
    DeleteChain(Family, String),
}

impl Nftables {
    /// Opens nftables of the namespace that the calling thread is in.
    ///
    /// # Errors
    /// When the kernel refuses a socket.
    pub fn open() -> Result<Self, NetlinkError> {
        Ok(Self { socket: NetlinkSocket::open(Protocol::Netfilter)? })
    }

    /// Puts a ruleset in the place of whatever its tables had, in one transaction: a packet sees
    /// all of the old rules or all of the new ones.
    ///
    /// # Errors
    /// What the kernel answers; then the old rules are in force.
    pub fn replace(&mut self, ruleset: &Ruleset) -> Result<(), NetlinkError> {
        let name = ruleset.tables.first().map_or("", |table| &*table.name);
        self.socket.transaction("put in force the rules of", name, &encode::replace(ruleset))
    }

    /// Compares what the kernel has with a ruleset.
    ///
    /// # Errors
    /// When something is missing, different or more than it should be.
    pub fn verify(&mut self, ruleset: &Ruleset, how: Verified) -> Result<(), NotInForce> {
        verify::verify(&mut self.socket, ruleset, how)
    }

    /// Carries out changes of a table's sets and chains in one transaction.
    ///
    /// # Errors
    /// What the kernel answers; then nothing has changed.
    pub fn change(&mut self, table: &str, changes: &[Change]) -> Result<(), NetlinkError> {
        let requests: Vec<_> = changes
            .iter()
            .flat_map(|change| match change {
                Change::Add(family, set, elements) => {
                    encode::elements(k::NEW_ELEMENT, (*family, table), set, elements)
                }
                Change::Remove(family, set, elements) => {
                    encode::elements(k::DELETE_ELEMENT, (*family, table), set, elements)
                }
                Change::NewChain(family, chain) => {
                    encode::chain_with_rules((*family, table), chain)
                }
                Change::DeleteChain(family, chain) => {
                    vec![encode::delete_chain((*family, table), chain)]
                }
            })
            .collect();
        self.socket.transaction("change the rules of", table, &requests)
    }

    /// Removes a table of each family, whether it exists or not.
    ///
    /// # Errors
    /// What the kernel answers; then all of them are as they were.
    pub fn remove(&mut self, table: &str, families: &[Family]) -> Result<(), NetlinkError> {
        let requests = encode::remove(families.iter().map(|family| (*family, table)));
        self.socket.transaction("remove the rules of", table, &requests)
    }

    /// Whether the table exists in all these families.
    ///
    /// # Errors
    /// What the kernel answers, but not that there is none.
    pub fn exists(&mut self, table: &str, families: &[Family]) -> Result<bool, NetlinkError> {
        for family in families {
            let request = encode::table_request(k::GET_TABLE, 0, *family, table);
            match self.socket.get("look for table", table, &request) {
                Ok(_) => {}
                Err(error) if error.is(libc::ENOENT) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// What the rules of a table have counted. Rules without a counter are left out; one with a set of ranges has
    /// one for each of them.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn counters(&mut self, table: &Table) -> Result<Vec<RuleCounter>, NetlinkError> {
        counters::read(&mut self.socket, table)
    }
}
