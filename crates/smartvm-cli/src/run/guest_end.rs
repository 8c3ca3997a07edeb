//! How a guest's end shows on its console.
//!
//! A Linux guest on x86 that powers off halts its vCPUs, but Firecracker knows no
//! power button and goes on running. The console's last line tells: once it says
//! that the kernel powered down, nothing follows it and the vCPUs use no
//! processor time for two seconds, the guest has ended.
//!
//! A kernel panic shows there too: `panic=1` makes the kernel reset the machine, and
//! Firecracker then ends as it does after any reboot.
//!
//! A program in the guest can print these lines as well. It can thereby change
//! only how its own end is reported, and a guest that goes on working is not ended.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

/// How long a powered-down guest must be silent and idle to count as ended.
const QUIET: Duration = Duration::from_secs(2);

/// Longest part of a line that is looked at; kernel messages are shorter.
const LINE_LIMIT: usize = 512;

const PANIC: &[u8] = b"Kernel panic - not syncing";
const POWERED_DOWN: [&[u8]; 2] = [b"reboot: Power down", b"reboot: System halted"];

/// Reads the console for signs of the end. Needs bounded memory whatever comes.
#[derive(Debug, Default)]
pub(crate) struct ConsoleWatch {
    line: Vec<u8>,
    panicked: bool,
    powered_down: bool,
}

impl ConsoleWatch {
    /// Takes the next bytes of the console, cut anywhere.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.line.clear();
            } else if byte != b'\r' {
                self.note(byte);
            }
        }
    }

    fn note(&mut self, byte: u8) {
        if self.line.is_empty() {
            // A line after the message means that the kernel is alive.
            self.powered_down = false;
        }
        if self.line.len() < LINE_LIMIT {
            self.line.push(byte);
            self.panicked |= self.line.ends_with(PANIC);
            self.powered_down |= POWERED_DOWN.iter().any(|message| self.line.ends_with(message));
        }
    }
}

/// What the console showed so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The kernel said that it panicked.
    pub(crate) panicked: bool,
    /// The last thing the kernel said is that it powered down.
    pub(crate) powered_down: bool,
    /// How many bytes came.
    pub(crate) total: u64,
}

impl Seen {
    /// Takes note of `length` more bytes that `watch` has read.
    pub(crate) fn update(&mut self, watch: &ConsoleWatch, length: usize) {
        self.panicked = watch.panicked;
        self.powered_down = watch.powered_down;
        self.total += length as u64;
    }
}

/// Returns when the guest has powered down, as the module documentation says; never when it does not.
pub(crate) async fn powered_down(mut seen: watch::Receiver<Seen>, vcpus: VcpuTime) {
    loop {
        let Ok(before) = seen.wait_for(|seen| seen.powered_down).await.map(|seen| *seen) else {
            // The console is closed: Firecracker ended.
            return std::future::pending().await;
        };
        let busy_before = vcpus.nanoseconds();
        tokio::time::sleep(QUIET).await;
        if *seen.borrow() == before && vcpus.nanoseconds() == busy_before {
            return;
        }
    }
}

/// The processor time that the vCPU threads of one Firecracker used.
#[derive(Debug)]
pub(crate) struct VcpuTime {
    tasks_dir: PathBuf,
}

impl VcpuTime {
    /// Of the Firecracker with this process id.
    pub(crate) fn of(pid: u32) -> Self {
        Self { tasks_dir: PathBuf::from(format!("/proc/{pid}/task")) }
    }

    /// The sum in nanoseconds; none when the process is gone.
    pub(crate) fn nanoseconds(&self) -> Option<u64> {
        let tasks = fs_err::read_dir(&self.tasks_dir).ok()?;
        let dirs = tasks.filter_map(|task| Some(task.ok()?.path()));
        let vcpus = dirs.filter(|dir| {
            fs_err::read_to_string(dir.join("comm")).is_ok_and(|name| name.starts_with("fc_vcpu"))
        });
        vcpus.map(|dir| run_time(&fs_err::read_to_string(dir.join("schedstat")).ok()?)).sum()
    }
}

/// The first field of a thread's `schedstat`: time spent on a processor.
fn run_time(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn watch(console: &[u8]) -> ConsoleWatch {
        let mut watch = ConsoleWatch::default();
        watch.feed(console);
        watch
    }

    #[test]
    fn a_powered_down_kernel_is_noticed_by_its_last_line() {
        assert!(watch(b"bye\r\n[    4.2] reboot: Power down\r\n").powered_down);
        assert!(watch(b"[    4.2] reboot: System halted").powered_down);
    }

    #[test]
    fn a_kernel_that_goes_on_talking_has_not_powered_down() {
        assert!(!watch(b"reboot: Power down\r\nlogin: ").powered_down);
        assert!(!watch(b"reboot: Restarting system\r\n").powered_down);
    }

    #[test]
    fn blank_lines_after_the_message_are_no_sign_of_life() {
        assert!(watch(b"reboot: Power down\r\n\r\n").powered_down);
    }

    #[test]
    fn a_panic_is_remembered_whatever_follows() {
        let console = b"[    1.5] Kernel panic - not syncing: VFS: Unable to mount\r\n[    1.6] Rebooting in 1 seconds..\r\n";
        assert!(watch(console).panicked);
        assert!(!watch(b"Kernel panic attacks\n").panicked);
    }

    #[test]
    fn a_line_without_an_end_takes_bounded_memory() {
        let watch = watch(&vec![b'x'; 1 << 20]);
        assert!(watch.line.len() <= LINE_LIMIT);
    }

    #[test]
    fn the_time_on_a_processor_is_the_first_field() {
        assert_eq!(run_time("123456 789 42\n"), Some(123_456));
        assert_eq!(run_time(""), None);
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_changes_nothing(cut in 0_usize..60) {
            let console = b"[ 1.5] Kernel panic - not syncing: x\r\nreboot: Power down\r\n";
            let mut parts = ConsoleWatch::default();
            parts.feed(&console[..cut.min(console.len())]);
            parts.feed(&console[cut.min(console.len())..]);
            prop_assert!(parts.panicked && parts.powered_down);
        }

        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let watch = watch(&bytes);
            prop_assert!(watch.line.len() <= LINE_LIMIT);
        }
    }
}
