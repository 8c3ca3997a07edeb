//! From which versions on something exists.

use std::fmt;

use crate::FirecrackerVersion;

/// From which versions on something exists: a version, or one in each of several lines when a
/// correction brought it to an older line too.
///
/// What is in `1.14.4` and `1.15.1` is in 1.14.5 and 1.16.0, and is not in 1.15.0. A development
/// build such as `1.17.0-dev` counts as its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Since {
    /// Ascending, one a line.
    lines: &'static [(u16, u16, u16)],
}

impl Since {
    /// In all versions that this library knows: from 1.7 on.
    pub const FIRST: Self = Self::in_lines(&[(1, 7, 0)]);
    /// The first with `/vm/config` telling of processors and entropy.
    pub const V1_10: Self = Self::in_lines(&[(1, 10, 0)]);
    /// The first with KVM capabilities in `/cpu-config`.
    pub const V1_11: Self = Self::in_lines(&[(1, 11, 0)]);
    /// The first with `network_overrides`.
    pub const V1_12: Self = Self::in_lines(&[(1, 12, 0)]);
    /// The first with `--enable-pci`.
    pub const V1_13: Self = Self::in_lines(&[(1, 13, 0)]);
    /// The first with persistent memory, memory hotplug and `/serial`.
    pub const V1_14: Self = Self::in_lines(&[(1, 14, 0)]);
    /// The first with `clock_realtime`, which two lines got at once.
    pub const CLOCK: Self = Self::in_lines(&[(1, 14, 4), (1, 15, 1)]);
    /// The first with device hotplug.
    pub const V1_16: Self = Self::in_lines(&[(1, 16, 0)]);
    /// Not yet released.
    pub const V1_17: Self = Self::in_lines(&[(1, 17, 0)]);

    const fn in_lines(lines: &'static [(u16, u16, u16)]) -> Self {
        Self { lines }
    }

    /// Whether a version has it.
    #[must_use]
    pub fn includes(self, version: &FirecrackerVersion) -> bool {
        let line = (version.major, version.minor);
        match self.lines.iter().rfind(|(major, minor, _)| (*major, *minor) <= line) {
            Some((major, minor, patch)) => (*major, *minor) < line || *patch <= version.patch,
            None => false,
        }
    }

    /// The oldest version that has it.
    #[must_use]
    pub fn first(self) -> FirecrackerVersion {
        let (major, minor, patch) = self.lines.first().copied().unwrap_or_default();
        FirecrackerVersion::new(major, minor, patch)
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (major, minor, patch)) in self.lines.iter().enumerate() {
            let separator = if index == 0 { "" } else { " or " };
            write!(f, "{separator}{major}.{minor}.{patch}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_versions(since: Since, versions: &[&str]) -> Vec<bool> {
        versions.iter().map(|version| since.includes(&version.parse().unwrap())).collect()
    }

    #[test]
    fn a_correction_brings_a_field_to_two_lines_and_not_to_what_is_between() {
        let has = ["1.14.4", "1.14.9", "1.15.1", "1.15.2", "1.16.0", "2.0.0"];
        assert!(in_versions(Since::CLOCK, &has).iter().all(|has| *has));
        let lacks = ["1.7.0", "1.12.1", "1.14.3", "1.15.0", "1.15.0-dev", "0.25.0"];
        assert!(!in_versions(Since::CLOCK, &lacks).iter().any(|has| *has));
        assert_eq!(Since::CLOCK.to_string(), "1.14.4 or 1.15.1");
    }

    #[test]
    fn a_development_build_counts_as_its_release() {
        assert_eq!(
            in_versions(Since::V1_17, &["1.16.1", "1.17.0-dev", "1.17.0"]),
            [false, true, true]
        );
        assert_eq!(Since::V1_17.first(), FirecrackerVersion::new(1, 17, 0));
    }
}
