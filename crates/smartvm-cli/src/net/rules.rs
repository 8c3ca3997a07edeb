//! `smartvm net rules`.

use serde::Serialize;
use smartvm_network::policy::{Action, RuleProtocol};
use smartvm_network::{GuestRecord, NetworkReport, PolicyReport, RuleReport};

use super::{failure, no_such_vm, reports};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

/// The policies of one device.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceRules {
    vm: String,
    iface: String,
    address: std::net::Ipv4Addr,
    #[serde(flatten)]
    policies: PolicyReport,
}

pub(super) fn perform(vm: &str, settings: &Settings, printer: Printer) -> Result<(), Failure> {
    let reports = reports(settings)?;
    let mut devices = Vec::new();
    for report in &reports {
        for guest in report.guests.iter().filter(|guest| guest.vm == vm) {
            devices.push(of_device(report, guest)?);
        }
    }
    if devices.is_empty() {
        return Err(no_such_vm(vm, &reports));
    }
    if printer.wants_json() {
        return printer.json(&devices);
    }
    for device in &devices {
        printer.data(&format!("{} {} {}", device.vm, device.iface, device.address))?;
        if let Some(own) = &device.policies.own {
            printer.data(&describe("its own firewall", own))?;
        }
        printer.data(&describe("its network's firewall", &device.policies.network))?;
        let bounds = &device.policies.bounds;
        let (open, new) = (bounds.bounds.connections, bounds.bounds.new_connections_per_second);
        printer.data(&format!(
            "  its bounds:\n  {:>8} packets refused beyond {new} new connections a second\n  {:>8} packets refused beyond {open} open connections",
            bounds.refused_new, bounds.refused_open
        ))?;
    }
    Ok(())
}

fn of_device(report: &NetworkReport, guest: &GuestRecord) -> Result<DeviceRules, Failure> {
    let policies = report.policies(guest).map_err(|error| failure(&error))?;
    let (vm, iface, address) = (guest.vm.clone(), guest.iface.clone(), guest.address);
    Ok(DeviceRules { vm, iface, address, policies })
}

fn describe(title: &str, rules: &[RuleReport]) -> String {
    let mut lines = vec![format!("  {title}:")];
    for rule in rules {
        let action = match rule.action {
            Action::Allow => "allow",
            Action::Deny => "deny",
        };
        lines.push(format!(
            "  {:>8} packets {:>10} bytes  {action:5} {}",
            rule.packets,
            rule.bytes,
            what(rule)
        ));
    }
    lines.join("\n")
}

fn what(report: &RuleReport) -> String {
    let Some(rule) = &report.rule else { return "everything else".to_owned() };
    let mut words = Vec::new();
    match rule.protocol {
        RuleProtocol::All => {}
        RuleProtocol::Tcp => words.push("tcp".to_owned()),
        RuleProtocol::Udp => words.push("udp".to_owned()),
        RuleProtocol::Icmp => words.push("icmp".to_owned()),
    }
    words.push(rule.to.map_or_else(|| "to anywhere".to_owned(), |to| format!("to {to}")));
    if !rule.ports.is_empty() {
        let ports: Vec<_> = rule.ports.iter().map(u16::to_string).collect();
        words.push(format!("port {}", ports.join(", ")));
    }
    if let Some(comment) = &rule.comment {
        words.push(format!("({})", comment.escape_debug()));
    }
    words.join(" ")
}
