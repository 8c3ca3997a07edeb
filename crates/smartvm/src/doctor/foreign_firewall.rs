//! Whether firewalls of other programs stop guests.

use smartvm_network::nft::ForeignBlock;
use smartvm_network::{NetworkReport, Subnet};

use super::options::DoctorOptions;
use super::report::{Check, Subject};

const FOREIGN: Subject = Subject { id: "foreign-firewalls", title: "Firewalls of other programs" };

/// Looks at what they do to the networks that there are, or to the one that would be made by default.
pub(super) fn check(options: &DoctorOptions) -> Check {
    let networks = NetworkReport::all(&options.network_dir).map_err(|error| error.to_string());
    let blocks = networks.and_then(|networks| {
        if networks.is_empty() {
            let found = ForeignBlock::find(&options.bridge, Subnet::default(), None, false);
            return found.map_err(|error| error.to_string());
        }
        Ok(networks.into_iter().flat_map(|network| network.foreign_blocks).collect())
    });
    judge(blocks)
}

fn judge(blocks: Result<Vec<ForeignBlock>, String>) -> Check {
    let blocks = match blocks {
        Ok(blocks) => blocks,
        Err(error) => {
            return FOREIGN.info(format!("not known: {error}")).remedy("run the doctor as root");
        }
    };
    if blocks.is_empty() {
        return FOREIGN.pass("none is known to stop guests");
    }
    let found: Vec<_> = blocks.iter().map(ToString::to_string).collect();
    let mut remedies: Vec<_> = blocks.into_iter().flat_map(|block| block.remedies).collect();
    remedies.dedup();
    let commands = remedies.join("\n");
    FOREIGN.warn(found.join("; "), format!("let them through, as root:\n{commands}"))
}

#[cfg(test)]
mod tests {
    use smartvm_network::nft::{ForeignBackend, ForeignProgram, GuestTraffic};

    use super::super::report::Status;
    use super::*;

    #[test]
    fn what_stops_guests_is_warned_of_with_the_commands_that_mend_it() {
        let block = ForeignBlock {
            family: "ip",
            table: "filter".to_owned(),
            chain: "FORWARD".to_owned(),
            backend: ForeignBackend::IptablesLegacy,
            program: ForeignProgram::Docker,
            stops: vec![GuestTraffic::Connections, GuestTraffic::Answers],
            remedies: vec!["iptables -I one".to_owned(), "iptables -I two".to_owned()],
        };
        let check = judge(Ok(vec![block]));
        assert_eq!(check.status, Status::Warn);
        assert_eq!(
            check.found,
            "the chain ip filter FORWARD of Docker in iptables-legacy stops connections of guests, answers to guests"
        );
        assert!(check.remedy.unwrap().ends_with("root:\niptables -I one\niptables -I two"));
        assert_eq!(judge(Ok(Vec::new())).status, Status::Pass);
        let unknown = judge(Err("cannot list chains".to_owned()));
        assert_eq!(unknown.status, Status::Info);
        assert!(unknown.found.contains("cannot list chains"));
    }
}
