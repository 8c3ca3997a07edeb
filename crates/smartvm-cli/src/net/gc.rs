//! `smartvm net gc`.

use smartvm_network::Network;

use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

pub(super) fn perform(settings: &Settings, printer: Printer) -> Result<(), Failure> {
    let swept = Network::sweep(&settings.network_dir)
        .map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        let interfaces: Vec<_> = swept
            .interfaces
            .iter()
            .map(|(network, tap, vm)| serde_json::json!({ "network": network, "tap": tap, "vm": vm }))
            .collect();
        let removed = serde_json::json!({ "interfaces": interfaces, "networks": swept.networks });
        printer.json(&removed)?;
    } else {
        for (network, tap, vm) in &swept.interfaces {
            printer.status(&format!("removed {tap} of VM `{vm}` from {network}"));
        }
        for network in &swept.networks {
            printer.status(&format!("removed network {network}"));
        }
        if swept.interfaces.is_empty() && swept.networks.is_empty() {
            printer.status("nothing was left");
        }
    }
    match swept.failed.into_iter().next() {
        None => Ok(()),
        Some((network, error)) => {
            let message = format!("cannot remove all that was left of network {network}");
            Err(Failure::new("CLEANUP_FAILED", message).caused_by(&error))
        }
    }
}
