//! Firewalls of a thousand rules.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use smartvm_network::InterfaceName;
use smartvm_network::nft::{Nftables, Verified};
use smartvm_network::policy::{EgressPolicy, EgressRule, FirewallConfig, NetworkRules};
use smartvm_testkit::NetNamespace;

use super::timed;
use crate::sample::Sample;

const RULES: usize = 1000;
const ROUNDS: usize = 30;

/// Two of them: of rules that differ in where to only, and of rules that differ in everything.
pub(super) fn run() -> anyhow::Result<()> {
    let alike = |number: usize| {
        let to = format!("10.{}.{}.0/24", number / 250, number % 250);
        format!(r#"{{"action":"deny","to":"{to}","protocol":"tcp","ports":443}}"#)
    };
    let different = |number: usize| {
        let (action, protocol) = (["deny", "allow"][number % 2], ["tcp", "udp"][number / 2 % 2]);
        let (a, b, port) = (number / 250, number % 250, 1000 + number);
        format!(
            r#"{{"action":"{action}","to":"10.{a}.{b}.0/24","protocol":"{protocol}","ports":{port}}}"#
        )
    };
    measure("alike", &policy(alike)?)?;
    measure("different", &policy(different)?)
}

fn policy(rule: impl Fn(usize) -> String) -> anyhow::Result<EgressPolicy> {
    let rules: Vec<_> = (0..RULES).map(rule).collect();
    let rules = rules.join(",");
    Ok(FirewallConfig::from_json(&format!(r#"{{"egress":{{"rules":[{rules}]}}}}"#))?)
}

fn measure(kind: &str, egress: &EgressPolicy) -> anyhow::Result<()> {
    let rules = NetworkRules {
        network: InterfaceName::default_bridge(),
        subnet: smartvm_network::Subnet::default(),
        isolation: smartvm_network::policy::Isolation::default(),
        egress: egress.clone(),
        only_out_of: None,
        bounds: Default::default(),
        tunnel: None,
        neighbourhood: smartvm_network::policy::Neighbourhood::default(),
    };
    let (mut put, mut anew, mut checked, mut peer) =
        (Sample::default(), Sample::default(), Sample::default(), Sample::default());
    let text = tempfile::NamedTempFile::new().context("make a file")?;
    fs_err::write(text.path(), one_by_one(&rules))?;
    for _ in 0..ROUNDS {
        NetNamespace::new().run(|| -> anyhow::Result<()> {
            let (took, done) = timed(|| Command::new("nft").arg("-f").arg(text.path()).status());
            ensure!(done.context("run nft")?.success(), "nft takes the same rules");
            peer.add(took);
            Ok(())
        })?;
        NetNamespace::new().run(|| -> anyhow::Result<()> {
            let mut nftables = Nftables::open()?;
            let begun = Instant::now();
            let ruleset = rules.render(&[]);
            nftables.replace(&ruleset)?;
            put.add(begun.elapsed());
            let begun = Instant::now();
            nftables.replace(&rules.render(&[]))?;
            anew.add(begun.elapsed());
            let begun = Instant::now();
            nftables.verify(&ruleset, Verified::Everything)?;
            checked.add(begun.elapsed());
            Ok(())
        })?;
    }
    println!(
        "  1,000 {kind} rules in force {:w$} p50 {:.1} ms, p95 {:.1} ms (promised: at most 20 ms)",
        "",
        put.percentile_ms(50),
        put.percentile_ms(95),
        w = 9 - kind.len(),
    );
    println!("  one by one with `nft -f`        p50 {:.1} ms", peer.percentile_ms(50));
    println!("  in the place of as many         p50 {:.1} ms", anew.percentile_ms(50));
    println!("  read back                       p50 {:.1} ms", checked.percentile_ms(50));
    Ok(())
}

/// As a person would write it: each rule for itself, with its counter.
fn one_by_one(rules: &NetworkRules) -> String {
    let mut whole = rules.render(&[]);
    let egress = |policy: EgressPolicy| {
        let tables = NetworkRules { egress: policy, ..rules.clone() }.render(&[]).tables;
        let mut chains = tables.into_iter().flat_map(|table| table.chains);
        chains.find(|chain| chain.name == "egress").expect("there is one always")
    };
    let alone = |rule: &EgressRule| {
        let policy = EgressPolicy { rules: vec![rule.clone()], ..rules.egress.clone() };
        egress(policy).rules.swap_remove(0)
    };
    let each: Vec<_> = rules.egress.rules.iter().map(alone).collect();
    let rest = egress(EgressPolicy { rules: Vec::new(), ..rules.egress.clone() }).rules;
    let chains = whole.tables.iter_mut().flat_map(|table| &mut table.chains);
    for chain in chains.filter(|chain| chain.name == "egress") {
        chain.rules = [&each[..], &rest].concat();
    }
    whole.to_string()
}
