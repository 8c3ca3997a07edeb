use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Machine {
    vcpu_count: u32,
    mem_size_mib: u64,
    huge_pages: Option<HugePages>,
}

#[derive(Debug, Deserialize, PartialEq)]
enum HugePages {
    #[serde(rename = "2M")]
    TwoMib,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Drive {
    drive_id: String,
    is_read_only: Option<bool>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Vm {
    machine: Machine,
    #[serde(default)]
    drives: Vec<Drive>,
}

fn misfits(text: &str) -> Vec<String> {
    match read::<Vm>(text) {
        Err(ReadJsonError::Misfits { misfits, .. }) => {
            misfits.iter().map(ToString::to_string).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_that_does_not_fit_is_told_at_once_with_its_place_and_line() {
    let text = r#"{
  "machine": {"vcpuCount": "two", "hugePages": "1G"},
  "drives": [
    {"driveId": "a", "isReadOnly": "yes"},
    {"isReadOnly": true},
    7
  ]
}"#;
    assert_eq!(
        misfits(text),
        [
            "machine.memSizeMib is missing (line 2, column 14)",
            "machine.vcpuCount does not fit: invalid type: string \"two\", expected u32 (line 2, column 28)",
            "machine.hugePages does not fit: unknown variant `1G`, expected `2M` (line 2, column 48)",
            "drives[0].isReadOnly does not fit: invalid type: string \"yes\", expected a boolean (line 4, column 36)",
            "drives[1].driveId is missing (line 5, column 5)",
            "drives[2] does not fit: invalid type: integer `7`, expected struct Drive (line 6, column 5)",
        ]
    );
    assert_eq!(misfits("{}"), ["machine is missing (line 1, column 1)"]);
}

#[test]
fn what_fits_is_read_and_what_nobody_reads_is_named() {
    let text = "\u{feff}{\"machine\":{\"vcpuCount\":1,\"memSizeMib\":2,\"more\":3},\"x\":1}";
    let read = read::<Vm>(text).unwrap();
    assert_eq!(read.value.machine.vcpu_count, 1);
    assert_eq!(read.ignored, ["machine.more", "x"]);
}

#[test]
fn of_a_large_text_the_first_is_told() {
    let drives = vec!["{\"driveId\":1}"; 20_000].join(",");
    let text =
        format!("{{\"machine\":{{\"vcpuCount\":1,\"memSizeMib\":2}},\"drives\":[{drives}]}}");
    assert_eq!(misfits(&text).len(), 1);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}:,\"a-z0-9. \\\\]{0,60}") {
        let _ = read::<Vm>(&text);
    }

    #[test]
    fn any_values_are_read_or_refused(
        count in "(1|-1|\"x\"|\\{\\}|\\[\\]|null|1e9)", drives in "(\\[\\]|\\[1\\]|\\[\\[\\]\\]|\\{\\}|\\[\\{\\}\\])",
    ) {
        let _ = read::<Vm>(&format!("{{\"machine\":{{\"vcpuCount\":{count}}},\"drives\":{drives}}}"));
    }
}
