//! How a program begins: as whom, where, with what; and why it does not.

use smartvm_protocol::{Hidden, RefusalCode};

use crate::host::{request, script};
use crate::world::World;

#[test]
fn a_program_runs_with_its_arguments_environment_and_directory_as_they_are() {
    let world = World::new();
    let mut odd = request(&["printf", "%s|", "a b", "", "*", "\u{e9}"]);
    odd.argv.push(vec![0xff, b'\n']);
    let outcome = world.exec(odd).finish();
    assert_eq!(outcome.stdout, b"a b||*|\xc3\xa9|\xff\n|");
    let mut with = script("echo $FOO:$HOME:$USER:$PATH:$TERM; pwd");
    with.env = vec![Hidden::from(&b"FOO=1"[..]), Hidden::from(&b"FOO=two words"[..])];
    with.cwd = Some(b"/usr".to_vec());
    let outcome = world.exec(with).finish();
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(outcome.text(), format!("two words:/root:root:{path}:\n/usr"));
    assert_eq!(outcome.code(), 0);
}

#[test]
fn output_and_errors_are_told_apart() {
    let world = World::new();
    let outcome = world.sh("echo out; echo err >&2; exit 3");
    assert_eq!(outcome.stdout, b"out\n");
    assert_eq!(outcome.stderr, b"err\n");
    assert_eq!(outcome.code(), 3);
}

#[test]
fn a_program_runs_as_the_user_that_was_asked_for_with_that_users_groups() {
    let world = World::new();
    let run = |user: &str, groups: &[&str]| {
        let mut asked = script("echo $(id -u):$(id -g):$(id -G); echo to-stdout > /dev/stdout");
        asked.user = Some(user.as_bytes().to_vec());
        asked.groups = groups.iter().map(|group| group.as_bytes().to_vec()).collect();
        world.exec(asked).finish().text()
    };
    assert_eq!(run("root", &[]), "0:0:0\nto-stdout");
    assert_eq!(run("4242:77", &["88", "99"]), "4242:77:77 88 99\nto-stdout");
    assert_eq!(run("nobody", &[]), "65534:65534:65534\nto-stdout");
}

#[test]
fn what_cannot_be_started_is_told_apart_and_leaves_nothing() {
    let world = World::new();
    let file = world.dir.path().join("plain");
    fs_err::write(&file, "no program").unwrap();
    let plain = file.to_str().unwrap();
    let code = |argv: &[&str]| world.refused(request(argv)).code;
    assert_eq!(code(&["no-such-program"]), RefusalCode::NoProgram);
    assert_eq!(code(&["/no/such/program"]), RefusalCode::NoProgram);
    assert_eq!(code(&[plain]), RefusalCode::NotExecutable);
    assert_eq!(code(&["/usr"]), RefusalCode::NotExecutable);
    assert_eq!(code(&[]), RefusalCode::Protocol);
    let change = |change: fn(&mut smartvm_protocol::host::StartExec)| {
        let mut asked = request(&["true"]);
        change(&mut asked);
        world.refused(asked).code
    };
    assert_eq!(change(|it| it.cwd = Some(b"/nowhere".to_vec())), RefusalCode::NoDirectory);
    assert_eq!(change(|it| it.user = Some(b"nobody-here".to_vec())), RefusalCode::NoUser);
    assert_eq!(change(|it| it.user = Some(b"4294967295".to_vec())), RefusalCode::NoUser);
    assert_eq!(change(|it| it.groups = vec![b"no-group".to_vec()]), RefusalCode::NoGroup);
    assert_eq!(change(|it| it.env = vec![b"novalue"[..].into()]), RefusalCode::Protocol);
    assert!(world.others().is_empty());
    assert_eq!(world.sh("ls -d /sys/fs/cgroup/smartvm/*/ | wc -l").text(), "1");
}

#[test]
fn a_refusal_says_what_was_being_done_and_why() {
    let world = World::new();
    let mut asked = request(&["true"]);
    asked.cwd = Some(b"/nowhere".to_vec());
    let refusal = world.refused(asked);
    assert_eq!(refusal.told(), "change to /nowhere: No such file or directory (os error 2)");
    assert_eq!(refusal.errno, Some(2));
}

#[test]
fn a_limit_that_the_guest_cannot_keep_is_refused() {
    let world = World::new();
    let mut asked = request(&["true"]);
    asked.memory_max = Some(1 << 30);
    let has_memory = world.sh("grep -cw memory /sys/fs/cgroup/cgroup.controllers").text() == "1";
    if has_memory {
        assert_eq!(world.exec(asked).finish().code(), 0);
    } else {
        assert_eq!(world.refused(asked).code, RefusalCode::Unsupported);
    }
}

#[test]
fn a_program_inherits_nothing_of_the_agent() {
    let world = World::new();
    let own = world.sh("ls /proc/self/fd | sort -n | tr '\\n' ' '").text();
    assert_eq!(own, "0 1 2 3", "the last is that of the listing itself");
    let state = world.sh("grep -E '^(SigBlk|SigIgn)' /proc/self/status | cut -f2").text();
    for signals in state.lines() {
        // Those that have names: what this test itself was given of the others is no matter of the agent.
        assert_eq!(u64::from_str_radix(signals, 16).unwrap() & 0x7fff_ffff, 0, "{state}");
    }
    assert_eq!(world.sh("ulimit -S -n").text(), "1024");
    assert_eq!(world.sh("cat /proc/self/oom_score_adj").text(), "0");
    // Who runs this test may be forbidden to protect anything: then so is the agent.
    let protect = "echo -1000 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj";
    let may = std::process::Command::new("sh").args(["-c", protect]).output().unwrap().stdout;
    let expected = String::from_utf8(may).unwrap();
    assert_eq!(world.sh("cat /proc/1/oom_score_adj").text(), expected.trim_end());
    assert_eq!(world.sh("env | grep -c LISTEN").text(), "0");
}
