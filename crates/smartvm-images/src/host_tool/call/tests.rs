use super::*;

const SH: Tool = Tool { program: "sh", package: "dash" };

fn script(text: &str) -> ToolCall {
    ToolCall::new(SH).args(["-c", text])
}

#[test]
fn a_failure_tells_what_was_run_how_it_ended_and_what_it_said() {
    let failed = script("echo out; echo err >&2; exit 3").run(&HostTools::default());
    let error = failed.unwrap_err();
    let text = "`sh -c echo out; echo err >&2; exit 3` exited with code 3:\nout\nerr";
    assert_eq!(error.to_string(), text);
    let killed = script("kill -9 $$").run(&HostTools::default()).unwrap_err();
    assert_eq!(killed.to_string(), "`sh -c kill -9 $$` was ended by signal 9");
}

#[test]
fn a_program_that_is_not_there_is_an_error_that_names_its_package() {
    let nowhere = HostTools::only_in(Vec::new());
    let error = ToolCall::new(Tool::MKFS_EXT4).run(&nowhere).unwrap_err();
    assert_eq!(error.to_string(), "the program `mkfs.ext4` is not on this host");
    assert!(error.hint().unwrap().contains("apt-get install e2fsprogs"));
}

#[test]
fn only_the_end_of_a_long_output_is_kept_and_all_of_it_is_read() {
    let answer = script("yes | head -c 1000000; echo end; yes | head -c 1000000 >&2")
        .run(&HostTools::default())
        .unwrap();
    assert_eq!(answer.stdout.len(), KEPT_OUTPUT);
    assert!(answer.stdout.ends_with("y\nend\n"));
    assert_eq!(answer.stderr.len(), KEPT_OUTPUT);
}

#[test]
fn input_is_fed_and_other_exit_codes_can_be_accepted() {
    let answer = script("cat; exit 1")
        .accepting(&[0, 1])
        .run_fed(&HostTools::default(), |stdin| stdin.write_all(b"input"))
        .unwrap();
    assert_eq!((answer.stdout.as_str(), answer.status.code()), ("input", Some(1)));
}

#[test]
fn a_program_that_stops_reading_is_asked_why_and_a_failing_input_ends_it() {
    let much = vec![0; 1 << 20];
    let failed = script("echo enough >&2; exit 2")
        .run_fed(&HostTools::default(), |stdin| stdin.write_all(&much));
    assert!(failed.unwrap_err().to_string().ends_with("exited with code 2:\nenough"));
    let failed =
        script("exec cat").run_fed(&HostTools::default(), |_| Err(io::Error::other("bad input")));
    assert!(matches!(failed.unwrap_err(), HostToolError::Talk { .. }));
}

#[test]
fn a_program_can_take_itself_for_another_user_or_it_is_told_that_it_cannot() {
    let tools = HostTools::default();
    match script("id -u; id -g").seeming_to_be(5, 6).run(&tools) {
        Ok(answer) => assert_eq!(answer.stdout, "5\n6\n"),
        // Some hosts let nobody do that.
        Err(error) => assert!(error.is_about_namespace(), "{error}"),
    }
    let failed = script("exit 3").seeming_to_be(5, 6).run(&tools).unwrap_err();
    assert!(failed.is_about_namespace() || failed.to_string().contains("code 3"), "{failed}");
}

#[test]
fn nothing_of_our_environment_reaches_it() {
    let answer = script("env").run(&HostTools::default()).unwrap();
    assert!(!answer.stdout.contains("CARGO"), "{}", answer.stdout);
    assert!(answer.stdout.contains("LC_ALL=C"));
}

/// A stand-in for a program that an image has taken over.
fn taken_over(text: &str) -> ToolCall {
    script(text)
}

fn image(dir: &Path) -> PathBuf {
    let path = dir.join("image");
    fs_err::write(&path, "image").unwrap();
    path
}

#[test]
fn it_reads_no_secret_of_the_host() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs_err::write(&secret, "secret").unwrap();
    for path in [Path::new("/etc/shadow"), Path::new("/etc/passwd"), &secret, Path::new("/root")] {
        let call = taken_over("cat \"$0\" || ls \"$0/\"").arg(path);
        let error = call.run(&HostTools::default()).unwrap_err().to_string();
        assert!(error.contains("ermission denied"), "{}: {error}", path.display());
    }
}

#[test]
fn it_writes_to_its_image_and_nowhere_else() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let image = image(dir.path());
    let beside = dir.path().join("beside");
    let inputs = dir.path().join("inputs");
    fs_err::create_dir(&inputs).unwrap();
    fs_err::write(inputs.join("input"), "input").unwrap();
    let before = fs_err::metadata(&image).unwrap();
    for target in
        [&beside, &outside.path().join("x"), &inputs.join("input"), Path::new("/tmp/smartvm-x")]
    {
        let call = taken_over("echo x > \"$0\"").arg(target).image(&image).reading(&inputs);
        let error = call.run(&HostTools::default()).unwrap_err().to_string();
        assert!(error.contains("ermission denied"), "{}: {error}", target.display());
    }
    let call = taken_over("cat \"$1\" > \"$0\"").image(&image).input(&inputs.join("input"));
    call.run(&HostTools::default()).unwrap();
    assert_eq!(fs_err::read_to_string(&image).unwrap(), "input");
    use std::os::unix::fs::MetadataExt as _;
    let after = fs_err::metadata(&image).unwrap();
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()), "it is ours again");
}

#[test]
fn it_has_no_network_and_no_socket() {
    let program = "import socket,sys\n\
        for family, kind in [(2, 1), (2, 2), (10, 1), (1, 1), (16, 3)]:\n\
        \x20try: socket.socket(family, kind)\n\
        \x20except PermissionError: continue\n\
        \x20sys.exit(str(family))\n";
    const PYTHON: Tool = Tool { program: "python3", package: "python3" };
    let call = ToolCall::new(PYTHON).args(["-c", program]);
    call.run(&HostTools::default()).unwrap();
}

#[test]
fn it_is_its_own_user_without_rights_and_cannot_gain_any() {
    let answer =
        taken_over("id -u; grep -E '^(NoNewPrivs|Seccomp|CapBnd|CapEff):' /proc/self/status")
            .run(&HostTools::default())
            .unwrap();
    let said = answer.stdout;
    assert!(said.contains("NoNewPrivs:\t1") && said.contains("Seccomp:\t2"), "{said}");
    if rustix::process::geteuid().is_root() {
        let user: u32 = said.lines().next().unwrap().parse().unwrap();
        assert!(super::super::TOOL_USERS.contains(&user), "{said}");
        // To read, which Landlock narrows.
        assert!(said.contains("CapEff:\t0000000000000004"), "{said}");
    }
}

#[test]
fn it_cannot_signal_or_trace_others() {
    let ours = std::process::id().to_string();
    let call = taken_over("kill -0 \"$0\"").arg(&ours);
    let error = call.run(&HostTools::default()).unwrap_err().to_string();
    assert!(error.contains("not permitted"), "{error}");
}

#[test]
fn a_fork_bomb_ends_by_itself_where_it_is_a_user_of_its_own_and_elsewhere_that_is_told() {
    let is_own_user = rustix::process::geteuid().is_root();
    // Processes of one user are counted together: others have no such limit, as the doctor says.
    assert_eq!(crate::ToolConfinement::of_this_host().own_user, is_own_user);
    let count = if is_own_user { 2000 } else { 1 };
    let bomb = format!("n=0; while [ $n -lt {count} ]; do sleep 600 & n=$((n+1)); done; kill %1");
    match taken_over(&bomb).run(&HostTools::default()) {
        Ok(_) => assert!(!is_own_user, "2,000 processes"),
        Err(error) => assert!(error.to_string().contains("fork"), "{error}"),
    }
}

#[test]
fn a_flood_of_memory_ends_by_itself() {
    let program = "b = bytearray(1 << 40)";
    const PYTHON: Tool = Tool { program: "python3", package: "python3" };
    let error = ToolCall::new(PYTHON).args(["-c", program]).run(&HostTools::default());
    assert!(error.unwrap_err().to_string().contains("MemoryError"));
}
