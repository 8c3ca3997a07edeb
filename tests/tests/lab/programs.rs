//! Programs in Linux guests, by the command: `run … -- CMD` and `exec`, jailed as they are by default.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use smartvm_testkit::{TestHome, fixtures};

use crate::guest::{BOOT_ARGS, DEADLINE, import};
use crate::jail::Jails;

/// A kernel that was imported, and a place for jails.
struct Place {
    jails: Jails,
    home: TestHome,
}

impl Place {
    fn new() -> Self {
        let home = TestHome::new();
        import(&home);
        Self { jails: Jails::in_dir(home.path()), home }
    }
}

fn smartvm(Place { jails, home }: &Place) -> Command {
    let mut command = Command::new(fixtures::command());
    command.arg("--firecracker").arg(fixtures::firecracker());
    command.arg("--data-dir").arg(home.data_dir());
    command.arg("--runtime-dir").arg(home.runtime_dir());
    command.arg("--jail-dir").arg(jails.path());
    command
}

fn run(place: &Place) -> Command {
    let mut command = smartvm(place);
    command.args(["run", "--memory", "256", "--boot-args", BOOT_ARGS, "--rootfs"]);
    command.arg(fixtures::rootfs_ext4());
    command
}

fn output(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    // A program that reads nothing has left before.
    let _ = writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A VM that the command runs, ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        // It may have ended.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let deadline = Instant::now() + DEADLINE;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Copies a file and a tree into the guest `web` and out of it.
fn files_go_in_and_out(place: &Place, content: &[u8], exec: impl Fn(&[&str]) -> Output) {
    let cp = |from: &str, to: &str, input: &[u8]| {
        let mut command = smartvm(place);
        command.args(["cp", from, to]);
        let copied = output(command, input);
        assert!(copied.status.success(), "cp {from} {to}: {}", text(&copied.stderr));
        copied.stdout
    };
    let dir = place.home.path().join("files");
    fs_err::create_dir_all(dir.join("tree/sub")).unwrap();
    let (file, back) = (dir.join("file"), dir.join("back"));
    fs_err::write(&file, content).unwrap();
    fs_err::write(dir.join("tree/sub/leaf"), "leaf").unwrap();

    cp(file.to_str().unwrap(), "web:/tmp", b"");
    let counted = exec(&["wc", "-c", "/tmp/file"]);
    assert_eq!(text(&counted.stdout), format!("{} /tmp/file\n", content.len()));
    cp("web:/tmp/file", back.to_str().unwrap(), b"");
    assert!(fs_err::read(&back).unwrap() == content);

    let tar = Command::new("tar").arg("-C").arg(&dir).args(["-c", "tree"]).output().unwrap();
    cp("-", "web:/tmp", &tar.stdout);
    assert_eq!(text(&exec(&["cat", "/tmp/tree/sub/leaf"]).stdout), "leaf");
    let tree = cp("web:/tmp/tree", "-", b"");
    let mut list = Command::new("tar");
    list.arg("-t");
    assert!(text(&output(list, &tree).stdout).contains("tree/sub/leaf\n"));

    let mut command = smartvm(place);
    command.args(["cp", "web:/no/such/file", back.to_str().unwrap()]);
    let missing = output(command, b"");
    assert_eq!(missing.status.code(), Some(3), "{}", text(&missing.stderr));
}

#[test]
fn a_vm_whose_job_is_a_program_has_its_streams_and_its_exit_code() {
    let place = Place::new();
    let mut command = run(&place);
    let script = "read line; echo \"$NAME got $line as $(id -u) in $(pwd)\"; echo bad >&2; exit 42";
    command.args(["-i", "-e", "NAME=guest", "-w", "/tmp", "-u", "65534", "--"]);
    command.args(["sh", "-c", script]);
    let ran = output(command, b"words\n");
    let errors = text(&ran.stderr);
    assert_eq!(text(&ran.stdout), "guest got words as 65534 in /tmp\n", "{errors}");
    assert_eq!(ran.status.code(), Some(42), "{errors}");
    assert!(errors.contains("bad\n") && !errors.contains("Linux version"), "{errors}");
}

#[test]
fn programs_run_beside_each_other_in_a_guest_and_end_as_they_say() {
    let place = Place::new();
    let mut command = run(&place);
    let vm = command.args(["--id", "web", "--", "sleep", "1000"]).stdin(Stdio::null()).spawn();
    let mut vm = Running(vm.unwrap());
    let exec = |flags: &[&str], argv: &[&str]| {
        let mut command = smartvm(&place);
        command.args(["exec", "--wait", "120s"]).args(flags).arg("web").args(argv);
        command
    };
    // The VM's directory appears while it starts; who asks before is told so.
    let deadline = Instant::now() + DEADLINE;
    let first = loop {
        let first = output(exec(&[], &["--", "uname", "-s"]), b"");
        if first.status.success() || Instant::now() > deadline {
            break first;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    assert_eq!(text(&first.stdout), "Linux\n", "{}", text(&first.stderr));

    let ended = |argv: &[&str]| output(exec(&[], argv), b"").status.code();
    assert_eq!(ended(&["sh", "-c", "exit 7"]), Some(7));
    assert_eq!(ended(&["sh", "-c", "kill -9 $$"]), Some(137));
    assert_eq!(ended(&["no-such-program"]), Some(127));
    assert_eq!(ended(&["/etc"]), Some(126));
    let timed_out = output(exec(&["--timeout", "300ms"], &["sleep", "1000"]), b"");
    assert_eq!(timed_out.status.code(), Some(137), "{}", text(&timed_out.stderr));

    // A megabyte goes in and comes back.
    let megabyte: Vec<u8> =
        (0..1 << 20).map(|byte: u32| (byte * 7 + byte / 251).to_le_bytes()[0]).collect();
    let back = output(exec(&["-i"], &["cat"]), &megabyte);
    assert!(back.stdout == megabyte, "{} bytes came back", back.stdout.len());

    files_go_in_and_out(&place, &megabyte, |argv| output(exec(&[], argv), b""));

    // Ten at once, each its own.
    let ten: Vec<_> = (0..10)
        .map(|number| {
            let mut command = exec(&[], &["sh", "-c", &format!("echo {number}")]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (number, child) in ten.into_iter().enumerate() {
        let said = child.wait_with_output().unwrap();
        assert_eq!(text(&said.stdout), format!("{number}\n"), "{}", text(&said.stderr));
    }

    // A program ends with the command that asked for it.
    let mut asking = exec(&[], &["sh", "-c", "echo begun; exec sleep 4321"]);
    let mut asking = asking.stdout(Stdio::piped()).spawn().unwrap();
    let mut begun = [0; 6];
    std::io::Read::read_exact(asking.stdout.as_mut().unwrap(), &mut begun).unwrap();
    asking.kill().unwrap();
    asking.wait().unwrap();
    let deadline = Instant::now() + DEADLINE;
    loop {
        let left = output(exec(&[], &["sh", "-c", "ps | grep -c '[s]leep 4321'"]), b"");
        if text(&left.stdout) == "0\n" {
            break;
        }
        assert!(Instant::now() < deadline, "{}", text(&left.stdout));
    }

    // SIGTERM to the command is the program's, and the VM ends with it.
    let pid = rustix::process::Pid::from_child(&vm.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let deadline = Instant::now() + DEADLINE;
    let code = loop {
        if let Some(status) = vm.0.try_wait().unwrap() {
            break status.code();
        }
        assert!(Instant::now() < deadline, "it did not end");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(code, Some(143));
}
