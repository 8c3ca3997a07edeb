//! The command with Linux guests.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use smartvm_testkit::{TestHome, fixtures};

use crate::guest::{BOOT_ARGS, DEADLINE, PROMPT, import};

struct Run {
    code: Option<i32>,
    output: String,
    errors: String,
}

/// With the fixtures' kernel imported, boots and has the guest carry out a line.
fn run(line: &str) -> Run {
    let home = TestHome::new();
    import(&home);
    boot_and_run(&home, line)
}

fn smartvm(home: &TestHome) -> Command {
    let mut command = Command::new(fixtures::command());
    command.arg("--firecracker").arg(fixtures::firecracker());
    command.arg("--data-dir").arg(home.data_dir());
    command.arg("--runtime-dir").arg(home.runtime_dir());
    command
}

fn boot_and_run(home: &TestHome, line: &str) -> Run {
    let ran = boot(home, smartvm(home), line);
    if ran.code.is_some() || ran.output.contains(PROMPT) {
        return ran;
    }
    // As in `Lab::boot_config`. What the killed command left, this one removes first.
    eprintln!("RETRY: the guest did not boot:\n{}{}", ran.output, ran.errors);
    boot(home, smartvm(home), line)
}

/// Boots a guest and types the line when its shell waits for one. No exit code: it took too long.
fn boot(home: &TestHome, mut smartvm: Command, line: &str) -> Run {
    let errors = home.path().join("errors");
    let mut child = smartvm
        .args(["run", "--no-jail", "--memory", "256", "--boot-args", BOOT_ARGS, "--rootfs"])
        .arg(fixtures::rootfs_ext4())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(fs_err::File::create(&errors).unwrap().into_file())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn({
        let line = format!("{line}\n");
        move || {
            let (mut seen, mut asked) = (Vec::new(), false);
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                seen.extend_from_slice(&buffer[..count]);
                if !asked && String::from_utf8_lossy(&seen).contains(PROMPT) {
                    stdin.write_all(line.as_bytes()).unwrap();
                    asked = true;
                }
            }
            String::from_utf8_lossy(&seen).into_owned()
        }
    });
    let deadline = Instant::now() + DEADLINE;
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let errors = fs_err::read_to_string(errors).unwrap();
    Run { code, output: reader.join().unwrap(), errors }
}

#[test]
fn the_newest_imported_kernel_boots_and_a_restart_ends_the_command() {
    let home = TestHome::new();
    let imported = smartvm(&home)
        .args(["kernel", "import"])
        .arg(fixtures::kernel_image())
        .arg("--modules")
        .arg(fixtures::kernel_modules())
        .arg("--init")
        .arg(fixtures::agent())
        .output()
        .unwrap();
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let run = boot_and_run(&home, "echo \"answer:$((6 * 7))\"; reboot -f");
    assert!(run.output.contains("answer:42"), "{}{}", run.output, run.errors);
    assert_eq!(run.code, Some(0), "{}", run.errors);
}

#[test]
fn a_power_off_ends_the_command_although_firecracker_stays() {
    let run = run("poweroff -f");
    assert_eq!(run.code, Some(0), "{}{}", run.output, run.errors);
}

#[test]
fn a_kernel_panic_gives_exit_code_11() {
    let run = run("echo c > /proc/sysrq-trigger");
    assert_eq!(run.code, Some(11), "{}{}", run.output, run.errors);
    assert!(run.output.contains("Kernel panic"), "{}", run.output);
}
