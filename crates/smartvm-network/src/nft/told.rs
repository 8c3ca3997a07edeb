//! What a change that the kernel tells of is about.

use super::kernel as k;
use crate::netlink::Message;

/// How chains of policies and of bounds are named that are guests' own, and come and go with them.
const OF_GUESTS: [&str; 3] = ["egress-", "new-", "open-"];

/// Whether a change may have taken something of a table's rules away, or put something before them. What guests
/// bring and take is left out: elements of sets, and the chains of their policies and bounds.
pub(crate) fn changes_rules_of(table: &str, change: &Message) -> bool {
    let attributes = change.attributes(k::HEADER);
    let (of, chain) = match change.kind() {
        k::NEW_TABLE | k::DELETE_TABLE => (k::TABLE_NAME, None),
        k::NEW_CHAIN | k::DELETE_CHAIN => (k::CHAIN_TABLE, Some(k::CHAIN_NAME)),
        k::NEW_RULE | k::DELETE_RULE => (k::RULE_TABLE, Some(k::RULE_CHAIN)),
        _ => return false,
    };
    let chain = chain.and_then(|kind| attributes.text(kind)).unwrap_or_default();
    attributes.text(of) == Some(table) && !OF_GUESTS.iter().any(|it| chain.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::super::encode::table_request;
    use super::super::ruleset::Family;
    use super::*;
    use crate::netlink::Request;

    fn told(kind: u16, chain: &str) -> bool {
        let mut request = Request::new(kind, 0, &[1, 0, 0, 0]);
        request.attributes().text(k::RULE_TABLE, "ours");
        let name = if kind == k::NEW_RULE { k::RULE_CHAIN } else { k::CHAIN_NAME };
        request.attributes().text(name, chain);
        changes_rules_of("ours", &request.read_back())
    }

    #[test]
    fn what_guests_bring_and_take_is_no_change_of_rules() {
        assert!(told(k::NEW_RULE, "to_host") && told(k::DELETE_CHAIN, "guard"));
        assert!(!told(k::NEW_RULE, "egress-0123") && !told(k::DELETE_CHAIN, "egress-0123"));
        assert!(!told(k::NEW_CHAIN, "new-9-9") && !told(k::NEW_RULE, "open-9-9"));
        assert!(told(k::NEW_RULE, "egress") && told(k::NEW_RULE, "opened"));
        assert!(!told(k::NEW_ELEMENT, "") && !told(k::DELETE_ELEMENT, ""));
        let table = |name| table_request(k::DELETE_TABLE, 0, Family::Inet, name).read_back();
        assert!(changes_rules_of("ours", &table("ours")));
        assert!(!changes_rules_of("ours", &table("other")));
    }
}
