//! How the command fails: exit codes, hints, the JSON form, colours.

mod support;

use std::process::Stdio;

use support::{run, said, smartvm};

#[test]
fn a_wrong_command_line_is_exit_code_2_and_names_the_slip() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["rum"], "'run'"),
        (&["run", "--kernal", "x"], "'--kernel'"),
        (&["run", "--memory", "12Q"], "512M"),
        (&["run", "--drive", "x,readonly=1"], "readonly"),
        (&["run", "--ephemeral", "--persistent"], "cannot be used with"),
        (&["kernel", "import", "x", "--init", "y"], "--modules"),
    ];
    for (args, part) in cases {
        let said = run(dir.path(), args);
        assert_eq!(said.code, 2, "{args:?}: {}", said.stderr);
        assert!(said.stderr.starts_with("error: "), "{args:?}: {}", said.stderr);
        assert!(said.stderr.contains(part), "{args:?}: {}", said.stderr);
        assert_eq!(said.stdout, "");
    }
}

#[test]
fn a_usage_error_has_the_json_form_too() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(dir.path(), &["--json", "run", "--memory", "12Q"]);
    assert_eq!(said.code, 2);
    assert!(said.stderr.starts_with(r#"{"error":{"#), "{}", said.stderr);
    assert!(said.stderr.contains(r#""code":"USAGE""#), "{}", said.stderr);
    assert_eq!(said.stderr.lines().count(), 1);
}

#[test]
fn a_file_that_does_not_exist_is_exit_code_3_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["run", "--config", "/no/vm.json"][..], &["kernel", "import", "/no/vmlinuz"]] {
        let said = run(dir.path(), args);
        assert_eq!(said.code, 3, "{args:?}: {}", said.stderr);
        assert!(said.stderr.contains("/no/vm"), "{args:?}: {}", said.stderr);
    }
}

#[test]
fn a_configuration_with_an_unknown_key_is_a_usage_error_that_names_the_right_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vm.json");
    fs_err::write(&file, r#"{"bootSource":{"kernelImagePaht":"/k"}}"#).unwrap();
    let said = run(dir.path(), &["run", "--config", file.to_str().unwrap()]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("`kernelImagePath`"), "{}", said.stderr);
}

#[test]
fn every_breach_of_a_configuration_is_reported_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(dir.path(), &["run", "--kernel", "/k", "--vcpus", "0", "--id", "../x"]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("vcpuCount"), "{}", said.stderr);
    assert!(said.stderr.contains("id must consist of"), "{}", said.stderr);
}

#[test]
fn a_missing_firecracker_is_exit_code_3_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = dir.path().join("vmlinux");
    fs_err::copy(env!("CARGO_BIN_EXE_smartvm"), &kernel).unwrap();
    let missing = dir.path().join("no-firecracker");
    let args = [
        "run",
        "--kernel",
        kernel.to_str().unwrap(),
        "--firecracker",
        missing.to_str().unwrap(),
        "--no-stdin",
    ];
    let said = run(dir.path(), &args);
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert!(said.stderr.starts_with("error: "), "{}", said.stderr);
    assert!(said.stderr.contains("no-firecracker"), "{}", said.stderr);
    assert!(said.stderr.contains("\n\nhint: "), "{}", said.stderr);
    assert_eq!(said.stdout, "");
}

#[test]
fn the_json_form_of_an_error_is_one_object_with_a_stable_code() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(dir.path(), &["kernel", "show", "no-such-kernel", "--json"]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    let value: serde_json::Value = serde_json::from_str(&said.stderr).unwrap();
    assert_eq!(value["error"]["code"], "KERNEL_NOT_FOUND");
    assert!(value["error"]["message"].is_string());
    assert!(value["error"]["causes"].is_array());
    assert!(value["error"].as_object().unwrap().contains_key("hint"));
}

#[test]
fn removing_a_kernel_that_is_not_there_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(dir.path(), &["kernel", "rm", "no-such-kernel"]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert!(said.stderr.contains("no-such-kernel"), "{}", said.stderr);
}

#[test]
fn a_run_without_any_kernel_says_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(dir.path(), &["run"]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert!(said.stderr.contains("hint: "), "{}", said.stderr);
    assert!(said.stderr.contains("smartvm kernel import"), "{}", said.stderr);
}

#[test]
fn an_import_with_modules_but_without_a_guest_init_says_where_it_looked() {
    // The command under a name of its own: a build tree may have the init beside the program.
    // A link, since a fresh copy may still be open for writing in a process forked meanwhile.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = dir.path().join("bin/smartvm");
    fs_err::create_dir(dir.path().join("bin")).unwrap();
    fs_err::hard_link(env!("CARGO_BIN_EXE_smartvm"), &program).unwrap();
    let output = std::process::Command::new(program)
        .env("SMARTVM_DATA_DIR", dir.path().join("data"))
        .env_remove("SMARTVM_AGENT")
        .args(["kernel", "import", "vmlinuz", "--modules", "modules"])
        .output()
        .unwrap();
    let said = said(output);
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert!(said.stderr.contains("libexec/smartvm/smartvm-agent"), "{}", said.stderr);
    assert!(said.stderr.contains("hint: say where smartvm-agent is"), "{}", said.stderr);
}

#[test]
fn a_report_is_written_for_a_run_that_never_began() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let said = run(dir.path(), &["run", "--report", report.to_str().unwrap()]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    let report: serde_json::Value =
        serde_json::from_str(&fs_err::read_to_string(report).unwrap()).unwrap();
    assert_eq!(report["exitCode"], 3);
    assert_eq!(report["error"]["code"], "KERNEL_NOT_FOUND");
    assert_eq!(report["states"], serde_json::json!([]));
}

#[test]
fn a_report_that_cannot_be_written_stops_the_run_before_it_begins() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(dir.path(), &["run", "--report", "/no-such-directory/report.json"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains("failed to write the report"), "{}", said.stderr);
}

#[test]
fn colours_are_used_when_forced_and_never_against_no_color() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["kernel", "show", "no-such-kernel"];
    let forced = smartvm(dir.path()).env("CLICOLOR_FORCE", "1").args(args).output().unwrap();
    assert!(said(forced).stderr.contains('\x1b'));
    let plain = smartvm(dir.path()).env("NO_COLOR", "1").args(args).output().unwrap();
    assert!(!said(plain).stderr.contains('\x1b'));
}

#[test]
fn a_closed_output_ends_the_command_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = smartvm(dir.path())
        .args(["completions", "bash"])
        .stdout(Stdio::from(writer))
        .output()
        .unwrap();
    let said = said(output);
    assert_eq!((said.code, said.stderr.as_str()), (141, ""));
}

#[test]
fn a_user_without_any_home_is_told_to_name_a_directory() {
    // Where anybody can run it: root's target directory may be root's alone.
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("smartvm");
    fs_err::copy(env!("CARGO_BIN_EXE_smartvm"), &program).unwrap();
    fs_err::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let mut command = std::process::Command::new(program);
    command.env_clear().args(["kernel", "list"]).current_dir("/");
    if rustix::process::geteuid().is_root() {
        // Nobody.
        std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    }
    let said = said(command.output().unwrap());
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains("--data-dir"), "{}", said.stderr);
}

#[test]
fn a_request_to_no_vm_is_exit_code_3_and_one_that_is_wrong_is_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let absent = run(dir.path(), &["--json", "api", "web", "GET", "/"]);
    assert_eq!(absent.code, 3, "{}", absent.stderr);
    assert!(absent.stderr.contains(r#""code":"VM_NOT_FOUND""#), "{}", absent.stderr);
    for args in [
        &["api", "web", "POST", "/"][..],
        &["api", "web", "GET", "vm"],
        &["api", "web", "GET", "/vm", "{}"],
        &["api", "web", "PUT", "/actions", "{nonsense"],
    ] {
        let wrong = run(dir.path(), args);
        assert_eq!(wrong.code, 2, "{args:?}: {}", wrong.stderr);
    }
    let unread = run(dir.path(), &["api", "web", "PUT", "/actions", "@/no/file"]);
    assert_eq!(unread.code, 3, "{}", unread.stderr);
}
