//! The version of a Linux kernel.

use super::host::Host;

/// The three leading numbers of a kernel's release, such as 6.1.0 of `6.1.0-56-amd64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KernelVersion(pub(super) u32, pub(super) u32, pub(super) u32);

impl KernelVersion {
    /// The version of the host's kernel, unless its release is of no known form.
    pub(super) fn of(host: &Host) -> Option<Self> {
        Self::parse(&host.value("proc/sys/kernel/osrelease")?)
    }

    fn parse(release: &str) -> Option<Self> {
        let numbers = release.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut numbers = numbers.split('.').map(|number| number.parse().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(Self(major, minor, numbers.next().flatten().unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_numbers_does_not_matter() {
        assert_eq!(KernelVersion::parse("6.1.0-56-amd64"), Some(KernelVersion(6, 1, 0)));
        assert_eq!(KernelVersion::parse("5.10.245+"), Some(KernelVersion(5, 10, 245)));
        assert_eq!(KernelVersion::parse("6.18-rc3"), Some(KernelVersion(6, 18, 0)));
        assert_eq!(KernelVersion::parse("next"), None);
        assert_eq!(KernelVersion::parse("6"), None);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(KernelVersion(5, 4, 300) < KernelVersion(5, 10, 0));
    }
}
