//! A network namespace for a test.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Child, Command, Output, Stdio, abort};
use std::thread;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// A network namespace with nothing in it but a loopback device, which is up. It goes when this
/// value, and every thread, process and socket in it, is gone. Needs root.
#[derive(Debug)]
pub struct NetNamespace {
    fd: OwnedFd,
}

impl NetNamespace {
    /// Makes one.
    ///
    /// # Panics
    /// When the host does not let us.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        let made = thread::spawn(|| {
            #[expect(unsafe_code, reason = "a system call")]
            // SAFETY: only the network namespace of this thread changes, which nothing relies on.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("root can make namespaces");
            let path = "/proc/thread-self/ns/net";
            OwnedFd::from(fs_err::File::open(path).expect("a thread has a namespace").into_file())
        });
        let fd = made.join().unwrap_or_else(|panic| resume_unwind(panic));
        let namespace = Self { fd };
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs `work` on a thread in the namespace, and returns what it returns.
    ///
    /// # Panics
    /// When `work` does.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let done = scope.spawn(|| {
                self.enter();
                work()
            });
            done.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Runs `work` in a process of its own in the namespace, which then becomes `sleep` until it is
    /// ended. So `work` can end its process as a kill -9 would, or its process can be ended later.
    ///
    /// # Panics
    /// When the host does not let us. A panic of `work` ends its process alone.
    #[must_use]
    pub fn run_apart(&self, mut work: impl FnMut() + Send + Sync + 'static) -> Child {
        let mut command = Command::new("sleep");
        command.arg("3600");
        let work = move || {
            // A panic must not go on into what was the test's own code.
            if catch_unwind(AssertUnwindSafe(&mut work)).is_err() {
                abort();
            }
            Ok(())
        };
        #[expect(unsafe_code, reason = "code between fork and exec")]
        // SAFETY: the new process has this thread alone and a memory of its own. `work` allocates, which
        // the C library allows there; it does not rely on other threads.
        unsafe {
            command.pre_exec(work);
        }
        self.run(move || command.spawn()).expect("a test host has `sleep`")
    }

    /// Moves the calling thread into the namespace for good, and what it starts.
    ///
    /// # Panics
    /// When the host does not let us.
    pub fn enter(&self) {
        move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("root can enter a namespace");
    }

    /// Runs `ip` with these words in it.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn ip(&self, words: &str) -> String {
        self.command(&format!("ip {words}"))
    }

    /// Runs one `ip` for all of these commands, which takes as long as a single one.
    ///
    /// # Panics
    /// When one of them fails; those after it are not run.
    #[track_caller]
    pub fn ip_batch(&self, commands: &[impl AsRef<str>]) -> String {
        let lines = commands.iter().map(|line| format!("{}\n", line.as_ref())).collect::<String>();
        let mut command = Command::new("ip");
        command.args(["-batch", "-"]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.run(move || command.spawn()).expect("a test host has `ip`");
        let mut stdin = child.stdin.take().expect("it was piped");
        // One that ends early says why below.
        let _ = stdin.write_all(lines.as_bytes());
        drop(stdin);
        let done = child.wait_with_output().expect("a child can be waited for");
        assert!(done.status.success(), "{lines}{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Runs a program with these words in it, and returns what it prints.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn command(&self, line: &str) -> String {
        let done = self.output(line);
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Runs a program with these words in it, however it ends.
    ///
    /// # Panics
    /// When there is no such program.
    #[must_use]
    #[track_caller]
    pub fn output(&self, line: &str) -> Output {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a command has a name");
        let mut command = Command::new(program);
        command.args(words);
        let done = self.run(move || command.output());
        done.unwrap_or_else(|error| panic!("a test host has `{program}`: {error}"))
    }

    /// Moves a link of the calling thread's namespace into this one.
    ///
    /// # Panics
    /// When the host does not let us.
    #[track_caller]
    pub fn adopt(&self, link: &str) {
        let done = Command::new("ip").args(["link", "set", link, "netns", &self.path()]).output();
        let done = done.expect("a test host has the command `ip`");
        assert!(done.status.success(), "{link}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Lets `link` here and `other_link` in another namespace be the ends of one cable, both up.
    ///
    /// # Panics
    /// When the host does not let us.
    #[track_caller]
    pub fn connect(&self, link: &str, other: &Self, other_link: &str) {
        let path = other.path();
        self.ip_batch(&[
            format!("link add {link} type veth peer name {other_link} netns {path}"),
            format!("link set {link} up"),
        ]);
        other.ip(&format!("link set {other_link} up"));
    }

    /// A path by which `ip` finds it, as long as this value is there.
    fn path(&self) -> String {
        let pid = rustix::process::getpid().as_raw_nonzero();
        format!("/proc/{pid}/fd/{}", self.fd.as_raw_fd())
    }
}

impl Default for NetNamespace {
    fn default() -> Self {
        Self::new()
    }
}
