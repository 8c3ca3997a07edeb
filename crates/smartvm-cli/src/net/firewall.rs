//! `smartvm net firewall`.

use std::path::Path;

use smartvm_network::Network;
use smartvm_network::policy::{EgressPolicy, FirewallConfig};

use super::{failure, no_such_vm, reports};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

pub(super) fn perform(
    vm: &str,
    file: Option<&Path>,
    settings: &Settings,
    printer: Printer,
) -> Result<(), Failure> {
    let audit = settings.audit_log();
    let asked = audit.asked(vm, "set-firewall", None);
    let changed = change(vm, file, settings, printer);
    asked.done(changed.as_ref().err().map(Failure::code));
    audit.flush_blocking();
    changed
}

fn change(
    vm: &str,
    file: Option<&Path>,
    settings: &Settings,
    printer: Printer,
) -> Result<(), Failure> {
    let policy = file.map(read).transpose()?;
    let reports = reports(settings)?;
    let mut cut = 0;
    let mut found = false;
    for report in &reports {
        for guest in report.guests.iter().filter(|guest| guest.vm == vm) {
            let network = Network::existing(&settings.network_dir, &report.network.bridge);
            let Some(network) = network.map_err(|error| failure(&error))? else { continue };
            let changed = network.set_guest_policy(&guest.tap, policy.clone());
            cut += changed.map_err(|error| Failure::of(&error, error.code(), None))?;
            found = true;
        }
    }
    if !found {
        return Err(no_such_vm(vm, &reports));
    }
    if printer.wants_json() {
        return printer.json(&serde_json::json!({ "cut": cut }));
    }
    printer.status(&format!("the firewall of `{vm}` was changed, and {cut} connections were cut"));
    Ok(())
}

fn read(path: &Path) -> Result<EgressPolicy, Failure> {
    let text = fs_err::read_to_string(path).map_err(|error| {
        let message = format!("failed to read the firewall `{}`", path.display());
        Failure::new("FIREWALL_UNREADABLE", message).caused_by(&error)
    })?;
    FirewallConfig::from_json(&text).map_err(|error| Failure::of(&error, error.code(), None))
}
