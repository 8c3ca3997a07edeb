//! Snapshots as text in Prometheus' exposition format, version 0.0.4.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write;

use super::known::{MetricKind, Name};
use super::snapshot::MetricsSnapshot;

/// What every name begins with.
const PREFIX: &str = "smartvm";

/// The samples of one name.
struct Family<'a> {
    kind: MetricKind,
    help: String,
    /// By VM and device.
    samples: BTreeMap<(&'a str, Option<&'a str>), u64>,
}

pub(super) fn expose<'a>(vms: impl IntoIterator<Item = (&'a str, &'a MetricsSnapshot)>) -> String {
    let mut families = BTreeMap::new();
    for (vm, snapshot) in vms {
        collect(&mut families, vm, snapshot);
    }
    let mut text = String::new();
    for (name, family) in &families {
        // Writing to a string cannot fail.
        let _ = family.write(&mut text, name);
    }
    text
}

fn collect<'a>(
    families: &mut BTreeMap<String, Family<'a>>,
    vm: &'a str,
    snapshot: &'a MetricsSnapshot,
) {
    let mut add = |name: String, kind, help: &dyn Fn() -> String, device, value| {
        let family = match families.entry(name) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => {
                free.insert(Family { kind, help: help(), samples: BTreeMap::new() })
            }
        };
        // Two names that differ only in characters that Prometheus does not take: the first wins.
        if family.kind == kind {
            family.samples.entry((vm, device)).or_insert(value);
        }
    };
    let own = [
        ("flushes", snapshot.flushes, "Lines of metrics that Firecracker wrote."),
        ("damaged_lines", snapshot.damaged_lines, "Lines of metrics that could not be read."),
    ];
    for (name, value, help) in own {
        let name = format!("{PREFIX}_metrics_{name}_total");
        add(name, MetricKind::Counter, &|| help.to_owned(), None, value);
    }
    for (dotted, metric) in snapshot.iter() {
        let name = Name::of(dotted);
        if !name.is_sum_of_devices() {
            let help = || help(name, metric.kind);
            add(family_name(name, metric.kind), metric.kind, &help, name.device, metric.value);
        }
    }
}

impl Family<'_> {
    fn write(&self, text: &mut String, name: &str) -> std::fmt::Result {
        let kind = match self.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        let help = self.help.replace('\\', "\\\\").replace('\n', "\\n");
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
        for ((vm, device), value) in &self.samples {
            write!(text, "{name}{{vm=\"{}\"", escape(vm))?;
            if let Some(device) = device {
                write!(text, ",device=\"{}\"", escape(device))?;
            }
            writeln!(text, "}} {value}")?;
        }
        Ok(())
    }
}

/// `smartvm_block_read_bytes_total` for `block_rootfs.read_bytes`.
fn family_name(name: Name<'_>, kind: MetricKind) -> String {
    let mut family = format!("{PREFIX}_{}", name.group);
    if !name.metric.is_empty() {
        family.push('_');
        family.push_str(name.metric);
    }
    if kind == MetricKind::Counter {
        family.push_str("_total");
    }
    family.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn help(name: Name<'_>, kind: MetricKind) -> String {
    let Name { group, metric, device } = name;
    let of = if device.is_some() { " of the device" } else { "" };
    match kind {
        MetricKind::Counter => format!("Firecracker's {group}.{metric}{of} since its start."),
        MetricKind::Gauge => format!("Firecracker's {group}.{metric}{of} as it last was."),
    }
}

/// A label's value, without its quotes.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests;
