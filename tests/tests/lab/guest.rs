//! A Linux guest for a test.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use smartvm::firecracker::api::HugePages;
use smartvm::firecracker::{Console, ConsoleReader};
use smartvm::images::{KernelStore, StoredKernel};
use smartvm::{
    BootSourceConfig, DriveConfig, JailMode, MachineConfig, MicroVm, SmartVm, SmartVmOptions,
    StartReport, VmConfig, VmEnd,
};
use smartvm_testkit::{TestHome, fixtures};

/// How long a guest may take for anything, on a machine that emulates its processor.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// How many keys a console that stands still is given meanwhile.
const NUDGES: u32 = 2;

/// A serial console, and a restart instead of a halt; quiet but for what userspace says.
pub(crate) const BOOT_ARGS: &str = "console=ttyS0 reboot=k panic=1 pci=off quiet";

/// How long a boot may take. In the emulated host one guest in a hundred hangs meanwhile; it is
/// booted once more, and the test says so.
pub(crate) const BOOT_DEADLINE: Duration = Duration::from_secs(90);

/// What our guests' shell prints when it waits for input.
pub(crate) const PROMPT: &str = "guest# ";

pub(crate) struct Lab {
    pub(crate) smartvm: SmartVm,
    pub(crate) kernel: StoredKernel,
    /// Dropped last: what is left of the VMs then is a leak.
    pub(crate) home: TestHome,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|_, _| {})
    }

    /// With other options, which may depend on where the test's files are.
    pub(crate) fn with(change: impl FnOnce(&mut SmartVmOptions, &TestHome)) -> Self {
        let home = TestHome::new();
        let mut options = SmartVmOptions {
            data_dir: home.data_dir().to_owned(),
            runtime_dir: home.runtime_dir().to_owned(),
            firecracker_binary_path: Some(fixtures::firecracker()),
            console_capacity: 1 << 20,
            jail: JailMode::Off,
            ..SmartVmOptions::default()
        };
        change(&mut options, &home);
        let smartvm = SmartVm::new(options).unwrap();
        let kernel = import(&home);
        Self { home, smartvm, kernel }
    }

    /// A VM with the root file system `root`.
    pub(crate) fn config(&self, root: PathBuf, read_only: bool) -> VmConfig {
        VmConfig {
            boot_source: BootSourceConfig {
                kernel_image_path: self.kernel.vmlinux.clone(),
                initrd_path: self.kernel.initramfs.clone(),
                boot_args: Some(BOOT_ARGS.into()),
            },
            machine_config: MachineConfig::new(1, 256),
            drives: vec![DriveConfig {
                drive_id: "rootfs".into(),
                path_on_host: root,
                is_root_device: true,
                is_read_only: Some(read_only),
                ..DriveConfig::default()
            }],
            ..VmConfig::default()
        }
    }

    pub(crate) async fn boot(&self, root: PathBuf, read_only: bool) -> Guest {
        self.boot_config(&in_huge_pages(self.config(root, read_only))).await
    }

    /// Boots a guest until its shell waits for input.
    pub(crate) async fn boot_config(&self, config: &VmConfig) -> Guest {
        self.boot_reported(config).await.0
    }

    /// The same, with what was said of the start.
    pub(crate) async fn boot_reported(&self, config: &VmConfig) -> (Guest, StartReport) {
        for last_try in [false, true] {
            let vm = self.smartvm.create_vm(config).unwrap();
            let report = vm.start().await.unwrap();
            let mut guest = Guest::new(vm);
            match guest.read_until(PROMPT, BOOT_DEADLINE).await {
                Ok(_) => return (guest, report),
                Err(silence) if last_try => panic!("the guest did not boot: {silence}"),
                Err(silence) => {
                    eprintln!("RETRY: the guest did not boot: {silence}\n{}", guest.threads());
                }
            }
            guest.vm.cleanup().await.unwrap();
        }
        unreachable!("the last try returns or panics")
    }
}

/// For what is not about memory: a guest in pages of 2 MiB boots a third faster in the lab, where each
/// page that it touches costs the emulator a walk through two tables. `cargo xtask lab` reserves them.
pub(crate) fn in_huge_pages(mut config: VmConfig) -> VmConfig {
    if is_emulated() {
        config.machine_config.huge_pages = Some(HugePages::TwoMib);
    }
    config
}

/// Whether this host is the lab.
fn is_emulated() -> bool {
    #[expect(clippy::disallowed_methods, reason = "this is how xtask tells that it is the lab")]
    std::env::var_os("SMARTVM_LAB_RESULTS").is_some()
}

/// Puts the imported kernel of the fixtures into the test's data directory.
pub(crate) fn import(home: &TestHome) -> StoredKernel {
    let imported = KernelStore::open(&fixtures::imported_kernels()).unwrap();
    let kernel = imported.latest().unwrap().unwrap();
    let store = KernelStore::open(&home.data_dir().join("kernels")).unwrap();
    let (from, to) = (imported.dir().join(&kernel.name), store.dir().join(&kernel.name));
    link_files(&in_memory(&from), &to);
    store.get(&kernel.name).unwrap()
}

/// Where the lab is, the files of fixtures are slow to read; they are copied once, into memory that
/// goes with it.
fn in_memory(from: &Path) -> PathBuf {
    if !is_emulated() {
        return from.to_owned();
    }
    let shared = std::env::temp_dir().join("smartvm-lab-kernel");
    if !shared.exists() {
        let draft = tempfile::tempdir().unwrap();
        link_files(from, &draft.path().join("kernel"));
        // It fails when another test was quicker, with the same files.
        let _ = fs_err::rename(draft.path().join("kernel"), &shared);
    }
    shared
}

/// Links the files of a directory into a new one, or copies what cannot be linked.
fn link_files(from: &Path, to: &Path) {
    fs_err::create_dir(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if fs_err::hard_link(&path, &to).is_err() {
            fs_err::copy(&path, &to).unwrap();
        }
    }
}

/// Why a guest's console does not say what it should.
#[derive(Debug)]
pub(crate) enum Silence {
    /// It says nothing more.
    Still { seen: String },
    /// Firecracker ended.
    Ended { seen: String, end: Option<VmEnd> },
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Still { seen } => write!(f, "the console stands still after\n{seen}"),
            Self::Ended { seen, end } => write!(f, "the VM ended ({end:?}) after\n{seen}"),
        }
    }
}

/// A running Linux guest with a shell on its console.
pub(crate) struct Guest {
    pub(crate) vm: MicroVm,
    console: Console,
    reader: ConsoleReader,
    seen: String,
}

impl Guest {
    pub(crate) fn new(vm: MicroVm) -> Self {
        let console = vm.console().unwrap();
        let reader = console.reader();
        Self { vm, console, reader, seen: String::new() }
    }

    /// Reads until `text` was seen, and returns what came before it.
    ///
    /// The emulated host now and then loses the interrupt by which a guest's serial port goes on
    /// writing; any key makes the guest look at the port again. Such a key is reported.
    pub(crate) async fn expect(&mut self, text: &str) -> String {
        for _ in 0..NUDGES {
            match self.read_until(text, DEADLINE / (NUDGES + 1)).await {
                Ok(before) => return before,
                Err(end @ Silence::Ended { .. }) => panic!("{text:?} did not come: {end}"),
                Err(still) => eprintln!("RETRY: {still}\n{}", self.threads()),
            }
            self.console.write(b"\n").await.unwrap();
        }
        match self.read_until(text, DEADLINE / (NUDGES + 1)).await {
            Ok(before) => before,
            Err(silence) => panic!("{text:?} did not come within {DEADLINE:?}: {silence}"),
        }
    }

    /// What came before `text`, or why it did not come within `limit`.
    async fn read_until(&mut self, text: &str, limit: Duration) -> Result<String, Silence> {
        let found = tokio::time::timeout(limit, async {
            loop {
                if let Some(at) = self.seen.find(text) {
                    let rest = self.seen.split_off(at + text.len());
                    let mut before = std::mem::replace(&mut self.seen, rest);
                    before.truncate(at);
                    return Some(before);
                }
                let chunk = self.reader.next().await?;
                self.seen.push_str(&String::from_utf8_lossy(&chunk.bytes));
            }
        });
        match found.await {
            Ok(Some(before)) => Ok(before),
            Ok(None) => Err(Silence::Ended { seen: self.seen.clone(), end: self.vm.wait().await }),
            Err(_) => Err(Silence::Still { seen: self.seen.clone() }),
        }
    }

    /// The threads of Firecracker with the time that each has computed so far, in ticks: whether a
    /// guest that says nothing computes or waits.
    fn threads(&self) -> String {
        let Ok(pid) = self.vm.process_id() else { return "no Firecracker".to_owned() };
        let Ok(threads) = fs_err::read_dir(format!("/proc/{pid}/task")) else {
            return "no threads".to_owned();
        };
        let of = |dir: fs_err::DirEntry| {
            let stat = fs_err::read_to_string(dir.path().join("stat")).ok()?;
            let (name, rest) = stat.rsplit_once(')')?;
            let fields: Vec<_> = rest.split_whitespace().collect();
            Some(format!("{name}) {} {}+{}", fields.first()?, fields.get(11)?, fields.get(12)?))
        };
        threads.filter_map(|dir| of(dir.ok()?)).collect::<Vec<_>>().join("; ")
    }

    /// Lets the guest's shell run a command and returns what it printed.
    pub(crate) async fn run(&mut self, command: &str) -> String {
        // The shell computes the markers, so that no echo of the line matches them. There are two of
        // those when the line comes before the shell has told the terminal to leave that to it.
        let line = format!("echo \"from:$((6 * 7))\"; {command}; echo \"done:$((6 * 7)):$?\"\n");
        self.console.write(line.as_bytes()).await.unwrap();
        self.expect("from:42").await;
        let output = self.expect("done:42:").await;
        self.expect(PROMPT).await;
        output.replace('\r', "").trim().to_owned()
    }

    pub(crate) async fn type_line(&self, line: &str) {
        self.console.write(format!("{line}\n").as_bytes()).await.unwrap();
    }
}
