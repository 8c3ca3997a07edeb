//! `smartvm run` on a terminal: raw while the guest has it, and the keys for the command itself.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Termios, tcgetattr};
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{eventually, fixtures};

use crate::support::Bench;

const DEADLINE: Duration = Duration::from_secs(20);
/// Ctrl-].
const ESCAPE: u8 = 0x1d;

/// The command on a pseudo-terminal, with a guest that echoes what it is sent.
struct OnTerminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<String>>,
    status: Arc<Mutex<String>>,
    /// Our own descriptor of the terminal, to look at its mode.
    terminal: OwnedFd,
}

impl OnTerminal {
    fn start(bench: &Bench) -> Self {
        let kernel = bench.file("guest");
        TinyGuest::echoes().write_to(&kernel).unwrap();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let terminal = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        let mut child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(fixtures::command())
            .args(["run", "--no-jail", "--memory", "32", "--id", "tiny", "--kernel"])
            .arg(kernel)
            .arg("--firecracker")
            .arg(fixtures::firecracker())
            .arg("--data-dir")
            .arg(bench.home.data_dir())
            .arg("--runtime-dir")
            .arg(bench.home.runtime_dir())
            .stdin(terminal.try_clone().unwrap())
            .stdout(terminal.try_clone().unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let status = collect(child.stderr.take().unwrap());
        let keys = File::from(master);
        let screen = collect(keys.try_clone().unwrap());
        let on = Self { child, keys, screen, status, terminal };
        eventually(DEADLINE, "the terminal is raw", || on.is_raw().then_some(()));
        on
    }

    fn mode(&self) -> Termios {
        tcgetattr(&self.terminal).unwrap()
    }

    fn is_raw(&self) -> bool {
        !self.mode().local_modes.intersects(LocalModes::ICANON | LocalModes::ISIG)
    }

    fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    fn expect_status(&self, text: &str) {
        eventually(DEADLINE, text, || self.status.lock().unwrap().contains(text).then_some(()));
    }

    fn expect_on_screen(&self, text: &str) {
        eventually(DEADLINE, text, || self.screen.lock().unwrap().contains(text).then_some(()));
    }

    fn exit_code(&mut self) -> Option<i32> {
        eventually(DEADLINE, "the command ends", || self.child.try_wait().unwrap()).code()
    }
}

fn collect(mut from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&text);
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            sink.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    });
    text
}

#[test]
fn the_guest_gets_the_keys_and_the_escape_key_the_command() {
    let bench = Bench::new();
    let mut on = OnTerminal::start(&bench);
    // Ctrl-C is the guest's on a raw terminal: it comes back as the byte it is.
    on.press(b"keys\x03");
    on.expect_on_screen("keys\x03");

    on.press(&[ESCAPE, b'p']);
    on.expect_status("smartvm: paused");
    on.press(b"late");
    on.press(&[ESCAPE, b'p']);
    on.expect_status("smartvm: resumed");
    on.expect_on_screen("late");

    on.press(&[ESCAPE, b'?']);
    on.expect_status("pause");
    on.press(&[ESCAPE, b'k']);
    assert_eq!(on.exit_code(), Some(0));
    assert!(!on.is_raw(), "the terminal is as it was");
    assert!(bench.vm_dirs().is_empty());
}

#[test]
fn a_gentle_stop_can_be_made_firm() {
    let bench = Bench::new();
    let mut on = OnTerminal::start(&bench);
    on.press(&[ESCAPE, b'q']);
    on.expect_status("smartvm: stopping");
    // This guest knows no Ctrl-Alt-Del.
    on.press(&[ESCAPE, b'k']);
    assert_eq!(on.exit_code(), Some(0));
    assert!(!on.is_raw());
}
