//! What the numbers mean.

/// Whether a number only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// It counts since Firecracker was started.
    Counter,
    /// It says how things are, or were when they last happened.
    Gauge,
}

/// How Firecracker writes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// What was added since the line before.
    Added,
    /// A count, whole in every line.
    Total,
    /// A state, whole in every line.
    Gauge,
}

impl Form {
    pub(super) const fn kind(self) -> MetricKind {
        match self {
            Self::Added | Self::Total => MetricKind::Counter,
            Self::Gauge => MetricKind::Gauge,
        }
    }
}

/// A dotted name, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// `block` of `block_rootfs.read_bytes`; the whole group when it is of no single device.
    pub(super) group: &'a str,
    /// `rootfs` of `block_rootfs.read_bytes`.
    pub(super) device: Option<&'a str>,
    /// `read_bytes` of `block_rootfs.read_bytes`.
    pub(super) metric: &'a str,
}

impl<'a> Name<'a> {
    pub(super) fn of(dotted: &'a str) -> Self {
        let (whole, metric) = dotted.split_once('.').unwrap_or((dotted, ""));
        let known = |group: &&Group| {
            let rest = whole.strip_prefix(group.name).and_then(|rest| rest.strip_prefix('_'));
            group.per_device && rest.is_some_and(|device| !device.is_empty())
        };
        match GROUPS.iter().find(known) {
            Some(group) => {
                Self { group: group.name, device: Some(&whole[group.name.len() + 1..]), metric }
            }
            None => Self { group: whole, device: None, metric },
        }
    }

    /// Whether it sums up what is told for each device as well.
    pub(super) fn is_sum_of_devices(self) -> bool {
        self.device.is_none() && GROUPS.iter().any(|g| g.per_device && g.name == self.group)
    }

    /// How Firecracker writes the number; `None` when the metric is not known.
    fn known_form(self) -> Option<Form> {
        let group = GROUPS.iter().find(|group| group.name == self.group)?;
        group.metrics.iter().find_map(|known| known.form_of(self.metric))
    }

    /// How Firecracker writes the number. What is not known is taken to be like most.
    pub(super) fn form(self) -> Form {
        self.known_form().unwrap_or_else(|| {
            let last = self.metric.rsplit('.').next().unwrap_or_default();
            if matches!(last, "min_us" | "max_us") { Form::Gauge } else { Form::Added }
        })
    }
}

/// Metrics of one part of Firecracker.
struct Group {
    name: &'static str,
    /// Whether each device has a group of its own, with its id behind the name.
    per_device: bool,
    metrics: &'static [Known],
}

/// A metric that is known.
enum Known {
    /// A number.
    One(&'static str, Form),
    /// The shortest, the longest and the sum of several durations in microseconds.
    Latency(&'static str),
}

impl Known {
    fn form_of(&self, metric: &str) -> Option<Form> {
        match self {
            Self::One(name, form) => (*name == metric).then_some(*form),
            Self::Latency(name) => match metric.strip_prefix(name)? {
                ".min_us" | ".max_us" => Some(Form::Gauge),
                ".sum_us" => Some(Form::Added),
                _ => None,
            },
        }
    }
}

const fn added(name: &'static str) -> Known {
    Known::One(name, Form::Added)
}

const fn total(name: &'static str) -> Known {
    Known::One(name, Form::Total)
}

const fn gauge(name: &'static str) -> Known {
    Known::One(name, Form::Gauge)
}

const fn latency(name: &'static str) -> Known {
    Known::Latency(name)
}

mod table;
use table::GROUPS;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::MetricsFlush;

    #[test]
    fn all_that_the_real_firecracker_writes_is_known() {
        let line = include_bytes!("../../tests/data/metrics-1.12.1.json");
        let flush = MetricsFlush::parse(line).unwrap();
        for (name, _) in &flush.values {
            assert!(Name::of(name).known_form().is_some(), "{name} is not in the table");
        }
    }

    #[test]
    fn a_group_of_a_device_is_taken_apart() {
        let name = Name::of("block_root_fs.read_agg.sum_us");
        assert_eq!(
            name,
            Name { group: "block", device: Some("root_fs"), metric: "read_agg.sum_us" }
        );
        assert_eq!(name.form(), Form::Added);
        assert_eq!(Name::of("vhost_user_block_a.init_time_us").form(), Form::Gauge);
        assert!(Name::of("block.read_bytes").is_sum_of_devices());
        assert!(!Name::of("vcpu.failures").is_sum_of_devices());
        assert_eq!(Name::of("block_").device, None);
    }

    #[test]
    fn forms_are_those_of_firecrackers_source() {
        for (name, form) in [
            ("vcpu.exit_io_in", Form::Added),
            ("vcpu.exit_io_in_agg.min_us", Form::Gauge),
            ("latencies_us.pause_vm", Form::Gauge),
            ("signals.sigsegv", Form::Total),
            ("signals.sigpipe", Form::Added),
            ("of_a_later.version", Form::Added),
            ("of_a_later.version_agg.max_us", Form::Gauge),
        ] {
            assert_eq!(Name::of(name).form(), form, "{name}");
        }
    }
}
