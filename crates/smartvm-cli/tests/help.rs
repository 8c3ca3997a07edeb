//! What the command says of itself.

mod support;

use support::run;

fn help(args: &[&str]) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let said = run(dir.path(), args);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{args:?}");
    said.stdout
}

#[test]
fn the_first_page_lists_verbs_variables_and_exit_codes() {
    let text = help(&["--help"]);
    let expected = [
        "  run ",
        "  doctor ",
        "  firecracker ",
        "  image ",
        "  kernel ",
        "  version ",
        "  completions ",
        "SMARTVM_FIRECRACKER",
        "SMARTVM_DATA_DIR",
        "SMARTVM_RUNTIME_DIR",
        "SMARTVM_AGENT",
        "NO_COLOR",
        "    3  something that was named does not exist",
        "  130  Ctrl-C (SIGINT) ended the guest",
    ];
    for part in expected {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

#[test]
fn the_help_of_run_tells_how_to_get_out() {
    let text = help(&["run", "--help"]);
    let expected = [
        "Ctrl-] q       stop the guest gently",
        "Ctrl-] k       end the guest at once",
        "Ctrl-C stops the guest gently and a second one",
        "PATH[:ro|:rw][,id=NAME]",
        "[default: console=ttyS0 reboot=k panic=1 pci=off]",
        "   11  the guest's kernel panicked",
        "Examples:",
    ];
    for part in expected {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

#[test]
fn every_verb_has_help_with_examples() {
    for verb in [
        &["run"][..],
        &["doctor"],
        &["kernel"],
        &["kernel", "import"],
        &["kernel", "list"],
        &["kernel", "show"],
        &["kernel", "rm"],
        &["firecracker"],
        &["firecracker", "install"],
        &["firecracker", "list"],
        &["firecracker", "use"],
        &["firecracker", "rm"],
        &["image"],
        &["image", "pull"],
        &["image", "list"],
        &["image", "show"],
        &["image", "verify"],
        &["image", "prune"],
        &["image", "rm"],
        &["image", "build"],
        &["rootfs"],
        &["rootfs", "create"],
        &["rootfs", "clone"],
        &["rootfs", "resize"],
        &["net"],
        &["net", "status"],
        &["net", "list"],
        &["net", "rules"],
        &["net", "firewall"],
        &["net", "reload"],
        &["net", "gc"],
        &["snapshot"],
        &["snapshot", "create"],
        &["snapshot", "list"],
        &["snapshot", "show"],
        &["snapshot", "restore"],
        &["snapshot", "rm"],
        &["snapshot", "merge"],
        &["version"],
        &["completions"],
    ] {
        let text = help(&[verb, &["--help"]].concat());
        assert!(text.contains("Examples:"), "{verb:?} has no examples:\n{text}");
        assert!(text.contains(&format!("smartvm {}", verb.join(" "))), "{verb:?}:\n{text}");
    }
}

#[test]
fn no_help_line_is_wider_than_a_narrow_terminal_with_room() {
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["kernel", "import", "--help"],
        &["snapshot", "restore", "--help"],
        &["firecracker", "install", "--help"],
        &["image", "pull", "--help"],
        &["image", "build", "--help"],
        &["rootfs", "create", "--help"],
    ] {
        for line in help(args).lines() {
            assert!(line.chars().count() <= 100, "{args:?}: {line}");
        }
    }
}

#[test]
fn completions_exist_for_the_common_shells() {
    for (shell, sign) in
        [("bash", "_smartvm()"), ("zsh", "#compdef smartvm"), ("fish", "complete -c smartvm")]
    {
        let script = help(&["completions", shell]);
        assert!(script.contains(sign), "{shell}: {}", &script[..200]);
        assert!(script.contains("rootfs-read-only"), "{shell} does not know the flags of run");
    }
}

#[test]
fn version_says_both_versions_and_that_firecracker_is_missing() {
    assert!(help(&["--version"]).starts_with("smartvm 0."));
    let text = help(&["version"]);
    assert!(text.starts_with("smartvm 0."), "{text}");
    assert!(text.ends_with("firecracker not found\n"), "{text}");
    let json = help(&["version", "--json"]);
    assert!(json.contains("\"firecracker\": null"), "{json}");
}
