use super::*;

fn defects(program: Program, version: &str) -> Vec<&'static str> {
    KnownDefect::of(program, &version.parse().unwrap()).map(|defect| defect.name).collect()
}

#[test]
fn the_pci_defect_is_bounded_on_both_sides() {
    for version in ["1.13.0", "1.13.2", "1.14.3", "1.15.0"] {
        assert_eq!(defects(Program::Firecracker, version), ["CVE-2026-5747"], "{version}");
    }
    for version in ["1.12.1", "1.14.4", "1.15.1", "1.16.1", "1.17.0-dev"] {
        assert!(defects(Program::Firecracker, version).is_empty(), "{version}");
    }
}

#[test]
fn the_vsock_defect_is_of_one_version() {
    assert_eq!(defects(Program::Firecracker, "1.16.0"), ["issue 5958"]);
}

#[test]
fn the_diff_snapshot_defect_is_of_two_versions() {
    for version in ["1.14.0", "1.14.1"] {
        let both = ["CVE-2026-5747", "pull request 5705"];
        assert_eq!(defects(Program::Firecracker, version), both, "{version}");
    }
    assert_eq!(defects(Program::Firecracker, "1.14.2"), ["CVE-2026-5747"]);
}

#[test]
fn the_jailer_defect_was_fixed_in_two_lines() {
    for version in ["1.7.0", "1.12.1", "1.13.1", "1.14.0"] {
        assert_eq!(defects(Program::Jailer, version), ["CVE-2026-1386"], "{version}");
    }
    for version in ["1.13.2", "1.14.1", "1.15.0", "1.16.1"] {
        assert!(defects(Program::Jailer, version).is_empty(), "{version}");
    }
}

#[test]
fn a_use_is_refused_only_where_the_defect_bites() {
    let version = FirecrackerVersion::new(1, 16, 0);
    let refuse = |usage, overridden: &[&str]| {
        KnownDefect::refuse(Program::Firecracker, &version, usage, overridden)
    };
    refuse(Use::Pci, &[]).unwrap();
    let error = refuse(Use::RestoreWithVsock, &["CVE-2026-5747"]).unwrap_err();
    assert_eq!(error.code(), "FIRECRACKER_KNOWN_BAD");
    assert_eq!(
        error.to_string(),
        "issue 5958 of Firecracker 1.16.0: after a restore the guest cannot connect through vsock"
    );
    assert_eq!(
        error.hint().unwrap(),
        "it is fixed in 1.16.1; to go on all the same, accept the defect `issue 5958`"
    );
    refuse(Use::RestoreWithVsock, &["Issue 5958"]).unwrap();
    refuse(Use::RestoreWithVsock, &["*"]).unwrap();
}
