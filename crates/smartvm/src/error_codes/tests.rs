use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// The crates whose codes the table has.
const CRATES: [&str; 6] = [
    "smartvm",
    "smartvm-dir",
    "smartvm-firecracker",
    "smartvm-guest",
    "smartvm-images",
    "smartvm-network",
];

/// The codes in the sources of a crate: what its functions `code` name, and its constants of that name.
fn codes_in(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs_err::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_in(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs_err::read_to_string(&path).unwrap();
            for function in text.split("fn code(").skip(1) {
                found.extend(literals(body(function)));
            }
            for named in ["const CODE: &str = ", " code: "] {
                for value in text.split(named).skip(1) {
                    found.extend(literals(value.lines().next().unwrap_or_default()));
                }
            }
        }
    }
}

/// What is between a function's first brace and its partner.
fn body(function: &str) -> &str {
    let mut depth = 0_usize;
    for (place, character) in function.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return &function[..place],
            '}' => depth -= 1,
            // A trait's, which has none.
            ';' if depth == 0 => return "",
            _ => {}
        }
    }
    function
}

fn literals(text: &str) -> impl Iterator<Item = String> + '_ {
    let is_code =
        |text: &&str| text.len() > 3 && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    text.split('"').skip(1).step_by(2).filter(is_code).map(str::to_owned)
}

#[test]
fn the_table_has_every_code_of_the_sources_and_no_other() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeSet::new();
    for name in CRATES {
        codes_in(&crates.join(name).join("src"), &mut found);
    }
    let table: BTreeSet<_> = ERROR_CODES.iter().map(|row| row.code.to_owned()).collect();
    let unknown: Vec<_> = found.difference(&table).collect();
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");
    let unused: Vec<_> = table.difference(&found).collect();
    assert!(unused.is_empty(), "no error has these: {unused:?}");
}

#[test]
fn the_documented_table_is_this_one() {
    let mut text = "| code | kind | meaning |\n|---|---|---|\n".to_owned();
    for ErrorCode { code, kind, meaning } in ERROR_CODES {
        text.push_str(&format!("| `{code}` | {kind:?} | {meaning} |\n"));
    }
    assert_eq!(text, include_str!("../error_codes.md"));
}

#[test]
fn a_code_is_found_by_its_name_alone() {
    assert!(ERROR_CODES.is_sorted_by(|a, b| a.code < b.code));
    assert_eq!(ErrorKind::of_code("KERNEL_NOT_FOUND"), Some(ErrorKind::NotFound));
    assert_eq!(ErrorKind::of_code("TAP_UNUSABLE"), Some(ErrorKind::Conflict));
    assert_eq!(ErrorKind::of_code("FIRECRACKER_TOO_OLD"), Some(ErrorKind::Unsupported));
    assert_eq!(ErrorKind::of_code("kernel_not_found"), None);
}
