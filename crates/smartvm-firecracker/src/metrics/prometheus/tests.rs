use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::{MetricsFlush, MetricsTotals};
use super::*;

/// One sample of a text: its name, its labels and its value.
type Sample = (String, BTreeMap<String, String>, u64);

/// Reads a text as the format's description has it, and refuses what that does not allow.
fn read(text: &str) -> Result<Vec<Sample>, String> {
    let mut samples: Vec<Sample> = Vec::new();
    let mut described = BTreeSet::new();
    let mut current = String::new();
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    for line in text.split_terminator('\n') {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, _) = help.split_once(' ').ok_or(line)?;
            if !described.insert(name.to_owned()) {
                return Err(format!("{name} is described twice"));
            }
            name.clone_into(&mut current);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').ok_or(line)?;
            if name != current || !["counter", "gauge"].contains(&kind) {
                return Err(line.into());
            }
            if (kind == "counter") != name.ends_with("_total") {
                return Err(format!("{name} is a {kind}"));
            }
        } else {
            let sample = sample(line).ok_or(line)?;
            if sample.0 != current {
                return Err(format!("{line} is not of {current}"));
            }
            if samples.iter().any(|(name, labels, _)| (name, labels) == (&sample.0, &sample.1)) {
                return Err(format!("{line} comes twice"));
            }
            samples.push(sample);
        }
    }
    Ok(samples)
}

fn sample(line: &str) -> Option<Sample> {
    let (name, mut rest) = line.split_once('{')?;
    let first = name.chars().next()?;
    if !(first.is_ascii_alphabetic() || "_:".contains(first))
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c))
    {
        return None;
    }
    let mut labels = BTreeMap::new();
    loop {
        let (label, value) = rest.split_once("=\"")?;
        let mut unescaped = String::new();
        let mut chars = value.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => unescaped.push(match chars.next()?.1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    _ => return None,
                }),
                (_, c) => unescaped.push(c),
            }
        };
        labels.insert(label.to_owned(), unescaped);
        match value[end + 1..].split_at_checked(1)? {
            (",", more) => rest = more,
            ("}", value) => {
                return Some((name.to_owned(), labels, value.strip_prefix(' ')?.parse().ok()?));
            }
            _ => return None,
        }
    }
}

fn snapshot(values: &[(&str, u64)]) -> MetricsSnapshot {
    let mut totals = MetricsTotals::new();
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    totals.add(MetricsFlush { timestamp_ms: 1, values });
    totals.snapshot().clone()
}

#[test]
fn devices_are_labels_and_counters_are_totals() {
    let text = snapshot(&[
        ("block.read_bytes", 7),
        ("block_data.read_bytes", 3),
        ("block_rootfs.read_bytes", 4),
        ("latencies_us.pause_vm", 9),
    ])
    .to_prometheus("web");
    assert_eq!(
        text.split("# HELP smartvm_metrics").next().unwrap(),
        "# HELP smartvm_block_read_bytes_total Firecracker's block.read_bytes of the device since its \
         start.\n\
         # TYPE smartvm_block_read_bytes_total counter\n\
         smartvm_block_read_bytes_total{vm=\"web\",device=\"data\"} 3\n\
         smartvm_block_read_bytes_total{vm=\"web\",device=\"rootfs\"} 4\n\
         # HELP smartvm_latencies_us_pause_vm Firecracker's latencies_us.pause_vm as it last was.\n\
         # TYPE smartvm_latencies_us_pause_vm gauge\n\
         smartvm_latencies_us_pause_vm{vm=\"web\"} 9\n"
    );
    read(&text).unwrap();
}

#[test]
fn several_vms_share_a_family() {
    let (one, two) = (snapshot(&[("vcpu.failures", 1)]), snapshot(&[("vcpu.failures", 2)]));
    let text = MetricsSnapshot::to_prometheus_of([("one", &one), ("two", &two)]);
    let samples = read(&text).unwrap();
    let failures = samples.iter().filter(|(name, ..)| name == "smartvm_vcpu_failures_total");
    assert_eq!(
        failures.map(|(_, labels, n)| (labels["vm"].as_str(), *n)).collect::<Vec<_>>(),
        [("one", 1), ("two", 2)]
    );
    assert!(read(&(one.to_prometheus("one") + &two.to_prometheus("two"))).is_err());
}

#[test]
fn all_of_a_real_line_is_exposed() {
    let line = include_bytes!("../../../tests/data/metrics-1.12.1.json");
    let mut totals = MetricsTotals::new();
    totals.add(MetricsFlush::parse(line).unwrap());
    let samples = read(&totals.snapshot().to_prometheus("vm")).unwrap();
    let sums = totals.snapshot().iter().filter(|(name, _)| Name::of(name).is_sum_of_devices());
    assert_eq!(samples.len(), totals.snapshot().iter().count() - sums.count() + 2);
}

proptest! {
    #[test]
    fn whatever_names_firecracker_writes_the_text_is_right(
        names in proptest::collection::vec("(block_|net_)?[ -~\n\\\\ä\"]{0,6}(\\.[ -~\n]{0,6})?", 0..8),
        vm in "[ -~\n\\\\\"ä]{0,8}",
    ) {
        let values: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let text = snapshot(&values).to_prometheus(&vm);
        let samples = match read(&text) {
            Ok(samples) => samples,
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{text}"))),
        };
        for (_, labels, _) in samples {
            prop_assert_eq!(&labels["vm"], &vm);
        }
    }
}
