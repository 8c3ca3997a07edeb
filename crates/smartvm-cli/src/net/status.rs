//! `smartvm net status`.

use smartvm_network::NetworkReport;

use super::{failure, reports, wireguard};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

pub(super) fn perform(settings: &Settings, printer: Printer) -> Result<(), Failure> {
    let reports = reports(settings)?;
    for file in NetworkReport::damaged(&settings.network_dir).map_err(|error| failure(&error))? {
        let file = file.display();
        printer.warning(&format!(
            "{file} cannot be read: what it is about is closed until it is made again"
        ));
    }
    if printer.wants_json() {
        return printer.json(&reports);
    }
    if reports.is_empty() {
        printer.status("no networks; `smartvm run --network eth0` makes one");
        return Ok(());
    }
    for report in &reports {
        printer.data(&describe(report))?;
        if let Some(problem) = &report.rules_problem {
            printer.warning(&format!("{problem}; `smartvm net reload` puts the rules back"));
        }
        for damage in &report.damage {
            printer.warning(&format!("{damage}; `smartvm net reload` or the next start mends it"));
        }
        for block in &report.foreign_blocks {
            let remedies = block.remedies.join("\n  ");
            printer.warning(&format!("{block}; let them through, as root:\n  {remedies}"));
        }
        if wireguard::is_broken(report) {
            printer.warning(
                "the way out is gone; `smartvm net reload` or the next start makes it again",
            );
        }
        if !report.ownerless.is_empty() {
            printer
                .warning("some VMs have lost their owner; `smartvm net gc` removes what they left");
        }
    }
    Ok(())
}

fn describe(report: &NetworkReport) -> String {
    let network = &report.network;
    let mut lines = vec![format!(
        "{}  {}  bridge {}, rules {}, {} VM interfaces",
        network.bridge,
        network.subnet,
        if report.bridge_up { "up" } else { "DOWN" },
        if report.rules_in_force { "in force" } else { "NOT IN FORCE" },
        report.guests.len()
    )];
    let isolation = &network.isolation;
    let mut open = Vec::new();
    if isolation.vm_to_vm {
        open.push("VMs to each other".to_owned());
    }
    if isolation.lan {
        open.push("private addresses and the host's networks".to_owned());
    }
    if isolation.metadata {
        open.push("metadata".to_owned());
    }
    for service in &isolation.host_services {
        open.push(format!("the host's {} port {}", service.protocol.as_str(), service.port));
    }
    if !open.is_empty() {
        lines.push(format!("  opened: {}", open.join(", ")));
    }
    lines.push(format!(
        "  each guest: {} open connections, {} new ones a second",
        network.bounds.connections, network.bounds.new_connections_per_second
    ));
    lines.extend(wireguard::describe(report));
    for refused in report.refused.iter().filter(|it| it.packets > 0) {
        lines
            .push(format!("  {:>8} packets  {}: {}", refused.packets, refused.chain, refused.rule));
    }
    lines.join("\n")
}
