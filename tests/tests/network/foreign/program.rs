//! The real Docker and the real firewalld, in a host that is a network namespace.
//!
//! Each runs in namespaces of mounts and processes of its own besides: what it mounts and starts goes with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use smartvm_testkit::{NetNamespace, eventually, fixtures};
use tempfile::TempDir;

/// How long a program may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program and all that it has started, until this is dropped.
#[derive(Debug)]
struct Confined {
    child: Child,
    dir: TempDir,
}

impl Confined {
    /// Runs a shell's lines, in which `$DIR` is a directory of its own and `$ROOT` where the packages are.
    fn start(host: &NetNamespace, lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = fs_err::File::create(dir.path().join("log")).unwrap().into_file();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["sh", "-euc", &format!("mount -t tmpfs run /run; {lines}")]);
        command.env("DIR", dir.path()).env("ROOT", fixtures::firewalls()).env("PATH", path());
        command.envs(bus(dir.path()));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = host.run(move || command.spawn()).expect("a test host has `unshare`");
        Self { child, dir }
    }

    /// Waits until a command succeeds that asks the program.
    fn await_answer(&mut self, what: &str, mut ask: impl FnMut() -> Command) {
        let log = self.dir.path().join("log");
        eventually(PATIENCE, what, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{what}: {status}: {}", fs_err::read_to_string(&log).unwrap());
            }
            let asked = ask().output().unwrap();
            asked.status.success().then_some(())
        });
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        // All that is in its namespace of processes is ended with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where programs are: those of the packages, then those of this machine.
fn path() -> OsString {
    let root = fixtures::firewalls();
    let mut dirs = vec![root.join("usr/bin"), root.join("usr/sbin")];
    dirs.extend(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
    std::env::join_paths(dirs).unwrap()
}

/// How firewalld and its command find their modules, and each other.
fn bus(dir: &Path) -> [(&'static str, OsString); 2] {
    let modules = fixtures::firewalls().join("usr/lib/python3/dist-packages");
    let address = format!("unix:path={}", dir.join("bus").display());
    [("PYTHONPATH", modules.into()), ("DBUS_SYSTEM_BUS_ADDRESS", address.into())]
}

fn output(mut command: Command) -> String {
    let done = command.output().unwrap();
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {error}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Docker, with an image `box` of a busybox.
#[derive(Debug)]
pub(super) struct Docker {
    confined: Confined,
    /// The control group that its containers are in.
    group: String,
}

impl Docker {
    pub(super) fn start(host: &NetNamespace) -> Self {
        let group = format!("smartvm-test-docker-{}", std::process::id());
        let confined = Confined::start(
            host,
            &format!(
                "exec dockerd --data-root $DIR/data --exec-root /run/docker \
                 --pidfile /run/docker.pid --host unix://$DIR/socket --storage-driver vfs \
                 --cgroup-parent {group}"
            ),
        );
        let mut docker = Self { confined, group };
        let ask = docker.command("version");
        let ask = || {
            let mut command = Command::new(ask.get_program());
            command.args(ask.get_args());
            command
        };
        docker.confined.await_answer("Docker answers", ask);
        let image = docker.confined.dir.path().join("image");
        fs_err::create_dir(&image).unwrap();
        fs_err::copy(fixtures::busybox(), image.join("busybox")).unwrap();
        let archive = image.with_extension("tar");
        let mut tar = Command::new("tar");
        tar.arg("--create").arg("--file").arg(&archive).arg("--directory").arg(&image).arg(".");
        output(tar);
        docker.run(&format!("import {} box", archive.display()));
        docker
    }

    /// Runs a container that answers on TCP port 80, which is published as a port of the host.
    pub(super) fn publish(&self, port: u16) {
        let echo = "/busybox nc -ll -p 80 -e /busybox cat";
        self.run(&format!("run --detach --publish {port}:80 box {echo}"));
    }

    /// Runs Docker's command with these words.
    pub(super) fn run(&self, words: &str) -> String {
        output(self.command(words))
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(fixtures::firewalls().join("usr/bin/docker"));
        let socket = self.confined.dir.path().join("socket");
        command.arg("--host").arg(format!("unix://{}", socket.display()));
        command.args(words.split_whitespace());
        command
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // Control groups are the machine's: they stay when the processes in them are gone.
        if let Ok(done) = self.command("ps --all --quiet").output() {
            for container in String::from_utf8_lossy(&done.stdout).lines() {
                let _ = self.command(&format!("rm --force {container}")).output();
            }
        }
        let _ = self.confined.child.kill();
        let _ = self.confined.child.wait();
        for hierarchy in fs_err::read_dir("/sys/fs/cgroup").unwrap() {
            let group = hierarchy.unwrap().path().join(&self.group);
            if group.is_dir() {
                eventually(PATIENCE, "Docker's control group goes", || {
                    fs_err::remove_dir(&group).ok()
                });
            }
        }
        let _ = fs_err::remove_dir(Path::new("/sys/fs/cgroup").join(&self.group));
    }
}

/// A bus on which everybody may have every name.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=DIR/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>"#;

/// firewalld, as the distribution sets it up.
#[derive(Debug)]
pub(super) struct Firewalld {
    confined: Confined,
}

impl Firewalld {
    pub(super) fn start(host: &NetNamespace) -> Self {
        let lines = format!(
            "cat > $DIR/bus.conf <<'END'\n{BUS}\nEND\n\
             sed -i s:DIR:$DIR: $DIR/bus.conf\n\
             cp -r $ROOT/etc/firewalld $DIR/system\n\
             dbus-daemon --config-file=$DIR/bus.conf --fork\n\
             exec /usr/bin/python3 $ROOT/usr/sbin/firewalld --nofork --nopid \
             --log-file=$DIR/log --system-config=$DIR/system \
             --default-config=$ROOT/usr/lib/firewalld"
        );
        let mut confined = Confined::start(host, &lines);
        let dir = confined.dir.path().to_owned();
        confined.await_answer("firewalld answers", || command(&dir, "--state"));
        Self { confined }
    }

    /// Runs `firewall-cmd` with these words.
    pub(super) fn run(&self, words: &str) -> String {
        output(command(self.confined.dir.path(), words))
    }
}

fn command(dir: &Path, words: &str) -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command.arg(fixtures::firewalls().join("usr/bin/firewall-cmd"));
    command.args(words.split_whitespace()).envs(bus(dir));
    command
}
