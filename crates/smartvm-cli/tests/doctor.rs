//! `smartvm doctor`: the host may be any, so only the form is certain.

mod support;

use support::{run, said, smartvm};

#[test]
fn the_exit_code_says_what_the_json_says() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let said = run(dir.path(), &["doctor", "--json"]);
    let report: serde_json::Value =
        serde_json::from_str(&said.stdout).expect("stdout is one JSON value");
    // There is no Firecracker in that directory, so whatever KVM can do, it cannot run.
    assert_eq!(report["canRunFirecracker"], false, "{report}");
    assert_eq!((said.code, said.stderr.as_str()), (4, ""));
    let checks = report["checks"].as_array().expect("there is a list of checks");
    assert!(!checks.is_empty());
    for check in checks {
        assert!(check["id"].is_string() && check["found"].is_string(), "{check}");
        let needs_remedy = check["status"] == "fail" || check["status"] == "warn";
        assert!(!needs_remedy || check["remedy"].is_string(), "{check}");
    }
}

#[test]
fn every_line_begins_with_a_mark_and_a_remedy_is_indented() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let output = smartvm(dir.path()).arg("doctor").output().expect("the command was built");
    let said = said(output);
    let (checks, summary) = said.stdout.split_once("\n\n").expect("a summary follows a blank line");
    for line in checks.lines() {
        let known = ["ok ", "info ", "warn ", "FAIL ", "      "];
        assert!(known.iter().any(|mark| line.starts_with(mark)), "{line}");
    }
    assert!(checks.contains("FAIL"), "{checks}");
    assert!(checks.contains("\n      -> "), "{checks}");
    assert!(summary.trim_end().ends_with('.'), "{summary}");
}
