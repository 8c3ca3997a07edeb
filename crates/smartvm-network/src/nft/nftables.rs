//! Our tables in the kernel.

use super::elements::Element;
use super::encode;
use super::kernel as k;
use super::ruleset::{Chain, Family, Ruleset, Table};
use super::verify::{self, NotInForce, Verified};
use crate::netlink::{Attributes, NetlinkError, NetlinkSocket, Protocol};

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

/// What a rule has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCounter {
    /// Of which table.
    pub family: Family,
    /// The chain of the rule.
    pub chain: String,
    /// Its place in the chain, from 0.
    pub index: usize,
    /// Packets that it matched.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
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

    /// What the rules of a table have counted. Rules without a counter are left out.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn counters(&mut self, table: &Table) -> Result<Vec<RuleCounter>, NetlinkError> {
        let request = encode::list(k::GET_RULE, table);
        let rules = self.socket.dump("list rules of", &table.name, &request)?;
        let mut counters = Vec::new();
        let mut place: (String, usize) = (String::new(), 0);
        for rule in verify::of_table(&rules, table, k::RULE_TABLE) {
            let attributes = rule.attributes(k::HEADER);
            let chain = attributes.text(k::RULE_CHAIN).unwrap_or_default();
            place = if place.0 == chain { (place.0, place.1 + 1) } else { (chain.to_owned(), 0) };
            for (_, expression) in attributes.within(k::RULE_EXPRESSIONS) {
                let expression = Attributes::new(expression);
                if expression.text(k::EXPRESSION_NAME) == Some("counter") {
                    let data = expression.within(k::EXPRESSION_DATA);
                    counters.push(RuleCounter {
                        family: table.family,
                        chain: chain.to_owned(),
                        index: place.1,
                        packets: data.be64(k::COUNTER_PACKETS).unwrap_or(0),
                        bytes: data.be64(k::COUNTER_BYTES).unwrap_or(0),
                    });
                }
            }
        }
        Ok(counters)
    }
}
