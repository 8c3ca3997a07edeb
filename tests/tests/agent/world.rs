//! The namespaces that an agent is process 1 of.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use smartvm_testkit::fixtures;

/// How long anything may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Puts itself into a control group, and then becomes process 1 of namespaces of its own, in which that group is all
/// that there is of groups. It may have as few files open as process 1 of a guest. The listening socket comes as standard input and becomes descriptor 3.
const ENTER: &str = r#"
echo $$ > "$1/cgroup.procs" && ulimit -S -n 1024 && exec 3<&0 </dev/null &&
exec unshare --pid --fork --mount --cgroup --ipc --uts --kill-child=KILL -- sh -c '
mount -t proc proc /proc && umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup &&
LISTEN_PID=1 LISTEN_FDS=1 exec "$1" serve' sh "$2"
"#;

/// An agent that runs.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    group: PathBuf,
    process: Child,
}

impl World {
    pub(crate) fn new() -> Self {
        static WORLDS: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().unwrap();
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let name = format!("smartvm-test-{}-{number}", std::process::id());
        let group = hierarchy().join(name);
        fs_err::create_dir(&group).unwrap();
        let listener = UnixListener::bind(dir.path().join("agent.sock")).unwrap();
        let process = Command::new("sh")
            .args(["-c", ENTER, "sh"])
            .arg(&group)
            .arg(fixtures::agent())
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .spawn()
            .unwrap();
        Self { dir, group, process }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("agent.sock")
    }

    /// The agent's process, seen from outside.
    pub(crate) fn agent_pid(&self) -> u32 {
        let path = format!("/proc/{0}/task/{0}/children", self.process.id());
        wait_for("the agent", || {
            let children = fs_err::read_to_string(&path).unwrap();
            let pid = children.split_whitespace().next()?.parse().ok()?;
            let name = fs_err::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            (name.trim() != "sh" && name.trim() != "unshare").then_some(pid)
        })
    }

    /// A number of bytes that `/proc` tells of the agent, such as `VmRSS`.
    pub(crate) fn agent_kib(&self, field: &str) -> u64 {
        let status = fs_err::read_to_string(format!("/proc/{}/status", self.agent_pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_matches(|char: char| !char.is_ascii_digit()).parse().unwrap()
    }

    /// The processes in the guest besides the agent, seen from outside.
    pub(crate) fn others(&self) -> Vec<u32> {
        let mut found = Vec::new();
        let mut groups = vec![self.group.join("smartvm")];
        while let Some(group) = groups.pop() {
            // A group may go meanwhile.
            let Ok(processes) = fs_err::read_to_string(group.join("cgroup.procs")) else {
                continue;
            };
            found.extend(processes.lines().filter_map(|line| line.parse::<u32>().ok()));
            groups.extend(directories(&group));
        }
        found
    }

    /// Waits until the agent and all with it have ended; how.
    pub(crate) fn wait_for_end(&mut self) -> std::process::ExitStatus {
        let process = &mut self.process;
        wait_for("the end of the guest", || process.try_wait().unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let pid = Pid::from_child(&self.process);
            rustix::process::kill_process(pid, Signal::KILL).unwrap();
        }
        self.process.wait().unwrap();
        // Process 1 is gone and all of its namespace with it, only not at once.
        wait_for("the control groups to be empty", || remove(&self.group).then_some(()));
    }
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} did not come within {DEADLINE:?}");
        std::thread::yield_now();
    }
}

fn hierarchy() -> PathBuf {
    let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
    let found = mounts.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        source.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    });
    found.expect("control groups of version 2 are mounted")
}

fn directories(group: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(group).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Removes a group and those within, if all are empty.
fn remove(group: &Path) -> bool {
    directories(group).iter().all(|within| remove(within)) && fs_err::remove_dir(group).is_ok()
}
