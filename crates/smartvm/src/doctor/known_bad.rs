//! Versions with known faults that matter to us.

use smartvm_firecracker::FirecrackerVersion;

/// A fault of some versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) effect: &'static str,
    /// The first versions without it, for people.
    pub(super) fixed_in: &'static str,
    /// Each from the first with it to before the first without it.
    ranges: &'static [(Release, Release)],
}

type Release = (u16, u16, u16);

const OF_FIRECRACKER: [Fault; 2] = [
    Fault {
        name: "CVE-2026-5747",
        effect: "a guest can write outside its memory when started with `--enable-pci`",
        fixed_in: "1.14.4 and 1.15.1",
        ranges: &[((1, 13, 0), (1, 14, 4)), ((1, 15, 0), (1, 15, 1))],
    },
    Fault {
        name: "issue 5958",
        effect: "after a restore the guest cannot connect through vsock",
        fixed_in: "1.16.1",
        ranges: &[((1, 16, 0), (1, 16, 1))],
    },
];

const OF_JAILER: [Fault; 1] = [Fault {
    name: "CVE-2026-1386",
    effect: "a link planted in a jail lets its start overwrite files of the host",
    fixed_in: "1.13.2, 1.14.1 and 1.15.0",
    ranges: &[((0, 0, 0), (1, 13, 2)), ((1, 14, 0), (1, 14, 1))],
}];

pub(super) fn faults_of_firecracker(version: &FirecrackerVersion) -> Vec<Fault> {
    faults(&OF_FIRECRACKER, version)
}

pub(super) fn faults_of_jailer(version: &FirecrackerVersion) -> Vec<Fault> {
    faults(&OF_JAILER, version)
}

fn faults(known: &[Fault], version: &FirecrackerVersion) -> Vec<Fault> {
    let release = (version.major, version.minor, version.patch);
    let has = |fault: &&Fault| fault.ranges.iter().any(|(a, b)| (*a..*b).contains(&release));
    known.iter().filter(has).copied().collect()
}

/// The faults in one line.
pub(super) fn describe(faults: &[Fault]) -> String {
    let each: Vec<String> = faults.iter().map(|f| format!("{}: {}", f.name, f.effect)).collect();
    each.join("; ")
}

/// What to update to, in one line.
pub(super) fn describe_remedy(faults: &[Fault]) -> String {
    let each: Vec<String> =
        faults.iter().map(|f| format!("{} is fixed in {}", f.name, f.fixed_in)).collect();
    each.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(faults: &[Fault]) -> Vec<&'static str> {
        faults.iter().map(|fault| fault.name).collect()
    }

    fn firecracker(version: &str) -> Vec<&'static str> {
        names(&faults_of_firecracker(&version.parse().unwrap()))
    }

    fn jailer(version: &str) -> Vec<&'static str> {
        names(&faults_of_jailer(&version.parse().unwrap()))
    }

    #[test]
    fn the_pci_fault_is_bounded_on_both_sides() {
        for version in ["1.13.0", "1.13.2", "1.14.3", "1.15.0"] {
            assert_eq!(firecracker(version), ["CVE-2026-5747"], "{version}");
        }
        for version in ["1.12.1", "1.14.4", "1.15.1", "1.16.1", "1.17.0-dev"] {
            assert!(firecracker(version).is_empty(), "{version}");
        }
    }

    #[test]
    fn the_vsock_fault_is_of_one_version() {
        assert_eq!(firecracker("1.16.0"), ["issue 5958"]);
    }

    #[test]
    fn the_jailer_fault_was_fixed_in_two_lines() {
        for version in ["1.7.0", "1.12.1", "1.13.1", "1.14.0"] {
            assert_eq!(jailer(version), ["CVE-2026-1386"], "{version}");
        }
        for version in ["1.13.2", "1.14.1", "1.15.0", "1.16.1"] {
            assert!(jailer(version).is_empty(), "{version}");
        }
    }
}
