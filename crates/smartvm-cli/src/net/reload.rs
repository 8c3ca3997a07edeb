//! `smartvm net reload`.

use smartvm_network::{InterfaceName, Network};

use super::{failure, reports};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

pub(super) fn perform(
    network: Option<&InterfaceName>,
    settings: &Settings,
    printer: Printer,
) -> Result<(), Failure> {
    let names: Vec<InterfaceName> = match network {
        Some(network) => vec![network.clone()],
        None => reports(settings)?.into_iter().map(|report| report.network.bridge).collect(),
    };
    let mut reloaded = Vec::new();
    for name in names {
        if Network::reload(&settings.network_dir, &name).map_err(|error| failure(&error))? {
            printer.status(&format!("the rules of {name} are in force"));
            reloaded.push(name);
        } else if network.is_some() {
            return Err(Failure::new("NETWORK_NOT_FOUND", format!("there is no network `{name}`"))
                .with_hint("`smartvm net status` lists those that there are"));
        }
    }
    if printer.wants_json() {
        return printer.json(&serde_json::json!({ "reloaded": reloaded }));
    }
    Ok(())
}
