//! `smartvm net list`.

use smartvm_network::GuestRecord;

use super::reports;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::Settings;

pub(super) fn perform(settings: &Settings, printer: Printer) -> Result<(), Failure> {
    let reports = reports(settings)?;
    let guests: Vec<&GuestRecord> = reports.iter().flat_map(|it| &it.guests).collect();
    if printer.wants_json() {
        return printer.json(&guests);
    }
    if guests.is_empty() {
        printer.status("no VM has a network device that was made for it");
        return Ok(());
    }
    printer.data(&table(&guests))
}

fn table(guests: &[&GuestRecord]) -> String {
    let width = guests.iter().map(|guest| guest.vm.len()).max().unwrap_or(0).max(2);
    let header = format!(
        "{:width$}  {:6}  {:15}  {:17}  {:15}  PORTS",
        "VM", "IFACE", "ADDRESS", "MAC", "TAP"
    );
    let line = |guest: &&GuestRecord| {
        let ports: Vec<_> = guest.published.iter().map(ToString::to_string).collect();
        let (address, mac) = (guest.address.to_string(), guest.mac.to_string());
        let tap = guest.tap.as_str();
        let text = format!(
            "{:width$}  {:6}  {address:15}  {mac:17}  {tap:15}  {}",
            guest.vm,
            guest.iface,
            ports.join(" ")
        );
        text.trim_end().to_owned()
    };
    let mut lines = vec![header];
    lines.extend(guests.iter().map(line));
    lines.join("\n")
}
