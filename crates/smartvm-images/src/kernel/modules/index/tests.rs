use proptest::prelude::*;

use super::*;

fn parse(dep: &str) -> Result<ModuleIndex, ParseModulesError> {
    ModuleIndex::parse(dep.as_bytes(), b"")
}

#[test]
fn names_have_no_suffix_and_underscores_only() {
    let index = parse(
        "kernel/drivers/char/hw_random/virtio-rng.ko.xz: kernel/virtio.ko.zst\n\
         kernel/virtio.ko.zst:\n\n# a comment\nextra/odd.ko.gz:\n",
    )
    .unwrap();
    assert_eq!(index.modules["virtio_rng"].dependencies, ["virtio"]);
    assert_eq!(index.modules.keys().collect::<Vec<_>>(), ["odd", "virtio", "virtio_rng"]);
}

#[test]
fn paths_that_leave_the_directory_are_refused() {
    for path in
        ["../x.ko", "/lib/modules/x.ko", "kernel/../../x.ko", "./x.ko", "", "kernel/x\u{1b}.ko"]
    {
        let error = parse(&format!("kernel/a.ko:\n{path}:")).unwrap_err();
        assert!(matches!(error, ParseModulesError::BadLine { line: 2, .. }), "{path:?}: {error}");
        let error = parse(&format!("kernel/a.ko: {path}x/../y.ko")).unwrap_err();
        assert!(matches!(error, ParseModulesError::BadLine { line: 1, .. }), "{path:?}: {error}");
    }
}

#[test]
fn lines_that_are_no_modules_are_refused_with_their_number() {
    for (line, problem) in [
        ("kernel/a.ko", "has no colon"),
        ("kernel/a.txt:", "has a path that does not end in .ko"),
        ("kernel/.ko:", "has a path that does not end in .ko"),
        ("kernel/a b.ko:", "has a path with white space"),
    ] {
        let expected = ParseModulesError::BadLine { file: "modules.dep", line: 3, problem };
        assert_eq!(parse(&format!("\n\n{line}")).unwrap_err(), expected);
    }
}

#[test]
fn a_dependency_without_a_line_is_refused_unless_built_in() {
    let error = parse("a.ko: gone.ko").unwrap_err();
    let expected = ParseModulesError::UnknownDependency { line: 1, dependency: "gone".to_owned() };
    assert_eq!(error, expected);
    assert!(ModuleIndex::parse(b"a.ko: gone.ko", b"kernel/gone.ko").is_ok());
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let error = ModuleIndex::parse(b"\xff\xfe", b"").unwrap_err();
    assert_eq!(error, ParseModulesError::NotText { file: "modules.dep" });
}

#[test]
fn soft_dependencies_are_resolved_through_aliases() {
    let mut index =
        parse("fs/ext4.ko:\ncrypto/crc32c_generic.ko:\ncrypto/crc32c-intel.ko:").unwrap();
    let softdep = b"# x\nsoftdep ext4 pre: crypto-crc32c other post: late\nsoftdep gone pre: a\n";
    let alias = b"alias crypto-crc32c crc32c_generic\nalias crypto-crc32c crc32c_intel\n\
                  alias crypto-crc32c not_there\nalias pci:v*d* ext4\n";
    index.add_soft_dependencies(softdep, alias).unwrap();
    assert_eq!(index.modules["ext4"].soft_dependencies, ["crypto_crc32c", "other"]);
    assert_eq!(index.meant_by("crypto_crc32c"), ["crc32c_generic", "crc32c_intel", "not_there"]);
    assert!(index.meant_by("other").is_empty());
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_and_planned_and_no_path_leaves(
        dep in "([a-z/.]{0,12}(\\.ko)?:?( [a-z/.]{0,8}\\.ko)?\n){0,6}",
        builtin in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        for builtin in [&builtin[..], b""] {
            let Ok(index) = ModuleIndex::parse(dep.as_bytes(), builtin) else { continue };
            let _ = index.plan();
            for module in index.modules.values() {
                prop_assert!(!module.path.starts_with('/'));
                prop_assert!(module.path.split('/').all(|part| part != ".."));
            }
        }
    }
}
