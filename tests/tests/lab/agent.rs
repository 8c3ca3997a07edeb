//! The agent in Linux guests: as process 1 and beside an init, and who may speak to it and for it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use smartvm::guest::{Guest as Agent, Output, Role, Stdio, TerminalSize};
use smartvm::{DriveConfig, MicroVm, VmConfig, VsockConfig};
use smartvm_protocol::host::Hello;
use smartvm_protocol::{AGENT_PORT, Features, Frame, GENERATION, HostFrame, SessionKind};
use smartvm_testkit::{fixtures, vsock_program};

use crate::guest::{BOOT_ARGS, BOOT_DEADLINE, DEADLINE, Lab, in_huge_pages};

/// A port of the guest that is open to nobody but root, and is not the agent's.
const PRIVILEGED: u32 = 1022;

/// A port of the guest that everybody may take.
const ORDINARY: u32 = 5000;

/// The guest's own context identifier, for its own programs.
const LOCAL: u32 = 1;

fn config(lab: &Lab) -> VmConfig {
    let mut config = in_huge_pages(lab.config(fixtures::rootfs_ext4(), false));
    config.vsock = Some(VsockConfig { guest_cid: 3, uds_path: None });
    config
}

async fn run(agent: &Agent, argv: &[&str]) -> Output {
    let command = agent.command(argv[0]).args(&argv[1..]);
    tokio::time::timeout(DEADLINE, command.output()).await.unwrap().unwrap()
}

async fn sh(agent: &Agent, script: &str) -> String {
    let output = run(agent, &["sh", "-c", script]).await;
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// In one boot, as a boot takes its time in the emulated host.
#[tokio::test]
async fn the_agent_is_process_1_of_a_guest_and_runs_its_programs() {
    let lab = Lab::new();
    let mut config = config(&lab);
    config.boot_source.boot_args = Some(format!("{BOOT_ARGS} smartvm.role=init"));
    let vm = lab.smartvm.create_vm(&config).unwrap();
    vm.start().await.unwrap();
    vm.wait_for_agent(BOOT_DEADLINE).await.unwrap();
    let agent = vm.guest();
    let facts = agent.facts().await.unwrap();
    assert_eq!(facts.role, Role::Init);
    assert_eq!(String::from_utf8_lossy(&facts.kernel), lab.kernel.version);

    let output = run(&agent, &["sh", "-c", "echo out; echo err >&2; exit 7"]).await;
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b"out\n"[..], &b"err\n"[..])
    );
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(sh(&agent, "cat /proc/1/oom_score_adj /proc/self/oom_score_adj").await, "-1000\n0");
    assert_eq!(sh(&agent, "cat /proc/1/comm").await, "init");
    assert_eq!(sh(&agent, "ip addr show lo | grep -c 127.0.0.1").await, "1");

    let size = TerminalSize { rows: 33, columns: 121 };
    let terminal = agent.command("stty").arg("size").terminal(size).stdin(Stdio::Piped);
    let output = tokio::time::timeout(DEADLINE, terminal.output()).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "33 121\r\n");

    memory_that_runs_out_is_told(&agent).await;
    much_output_is_whole(&agent).await;
    goes_down(&vm, &agent).await;
    vm.cleanup().await.unwrap();
}

async fn memory_that_runs_out_is_told(agent: &Agent) {
    let hungry = agent.command("sh").args(["-c", "tail -c 200m /dev/zero"]).memory_max(16 << 20);
    let output = tokio::time::timeout(DEADLINE, hungry.output()).await.unwrap().unwrap();
    assert!(output.status.oom_kills() >= 1, "{:?}", output.status);
    assert_eq!(sh(agent, "ls /sys/fs/cgroup/smartvm | grep -c '^[0-9]'").await, "1");
}

async fn much_output_is_whole(agent: &Agent) {
    let output = run(agent, &["head", "-c", "20000000", "/dev/zero"]).await;
    assert_eq!(output.stdout.len(), 20_000_000);
}

async fn goes_down(vm: &MicroVm, agent: &Agent) {
    agent.shut_down(Duration::from_secs(5), None).await.unwrap();
    tokio::time::timeout(DEADLINE, vm.wait()).await.unwrap();
}

/// A drive with programs, and the module by which a guest reaches itself.
fn tools(lab: &Lab) -> PathBuf {
    let dir = lab.home.path().join("tools.d");
    fs_err::create_dir(&dir).unwrap();
    let mut hello = Vec::new();
    HostFrame::Hello(Hello {
        generation: GENERATION,
        features: Features::default(),
        session: SessionKind::Control,
    })
    .encode(&mut hello)
    .unwrap();
    for (name, bytes) in [
        ("bind-privileged", vsock_program::binds(PRIVILEGED)),
        ("bind-agents", vsock_program::binds(AGENT_PORT)),
        ("call-agent", vsock_program::calls_at(LOCAL, AGENT_PORT, &hello)),
        ("call-echo", vsock_program::calls_at(LOCAL, ORDINARY, b"there and back")),
        ("echo-back", vsock_program::echoes(ORDINARY)),
    ] {
        fs_err::write(dir.join(name), bytes).unwrap();
    }
    let module = fixtures::kernel_modules().join("kernel/net/vmw_vsock/vsock_loopback.ko");
    fs_err::copy(module, dir.join("vsock_loopback.ko")).unwrap();
    let path = lab.home.path().join("tools.tar");
    let mut tar = Command::new("tar");
    tar.arg("--mode=755").arg("-cf").arg(&path).arg("-C").arg(&dir).arg(".");
    assert!(tar.status().unwrap().success());
    path
}

#[tokio::test]
async fn beside_an_init_nobody_of_the_guest_speaks_for_the_agent_or_to_it() {
    let lab = Lab::new();
    let mut config = config(&lab);
    config.drives.push(DriveConfig {
        drive_id: "tools".into(),
        path_on_host: tools(&lab),
        is_read_only: Some(true),
        ..DriveConfig::default()
    });
    let guest = lab.boot_config(&config).await;
    guest.vm.wait_for_agent(BOOT_DEADLINE).await.unwrap();
    let agent = guest.vm.guest();
    assert_eq!(agent.facts().await.unwrap().role, Role::Beside);
    assert_eq!(sh(&agent, "cat /proc/1/comm").await, "init", "the distribution's");
    assert_eq!(sh(&agent, "tr '\\0' ' ' < /proc/$PPID/cmdline").await, "@smartvm-agent beside");
    sh(&agent, "tar xf /dev/vdb -C /bin").await;

    // Only a privileged process may take a port such as the agent's, and that one is taken.
    let bind = async |user: &str, program: &str| {
        let command = agent.command(program).user(user);
        tokio::time::timeout(DEADLINE, command.status()).await.unwrap().unwrap().code()
    };
    let errno = |errno: rustix::io::Errno| u8::try_from(errno.raw_os_error()).ok();
    assert_eq!(bind("65534:65534", "bind-privileged").await, errno(rustix::io::Errno::ACCESS));
    assert_eq!(bind("0", "bind-privileged").await, Some(0));
    assert_eq!(bind("0", "bind-agents").await, errno(rustix::io::Errno::ADDRINUSE));

    // A guest that reaches itself does not reach the agent.
    sh(&agent, "insmod /bin/vsock_loopback.ko").await;
    let _echo = agent.command("echo-back").spawn().await.unwrap();
    let call = async |program: &str| run(&agent, &[program]).await.stdout;
    let mut back = call("call-echo").await;
    while back.is_empty() {
        // It may not listen yet.
        back = call("call-echo").await;
    }
    assert_eq!(back, b"there and back");
    assert!(call("call-agent").await.is_empty());
    assert_eq!(sh(&agent, "echo alive").await, "alive");
    guest.vm.stop_within(DEADLINE).await.unwrap();
    guest.vm.cleanup().await.unwrap();
}
