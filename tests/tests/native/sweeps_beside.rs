//! Sweeps of other processes beside an owner that starts and ends VMs.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use smartvm::{JailMode, NetworkInterfaceConfig};
use smartvm_testkit::tiny_guest::TinyGuest;
use smartvm_testkit::{NetNamespace, TestHome, fixtures};

use crate::support::{Bench, whole};

const ROUNDS: usize = 30;

/// A loop of commands that sweep, which is ended with the test.
struct Sweeper(Child);

impl Sweeper {
    /// Each round also kills a VM that it has started, at another moment: what that leaves is swept next.
    fn start(bench: &Bench, net: &std::path::Path) -> Self {
        let places = format!(
            "--data-dir {} --runtime-dir {} --network-dir {}",
            bench.home.data_dir().display(),
            bench.home.runtime_dir().display(),
            net.display()
        );
        let (command, firecracker) = (fixtures::command(), fixtures::firecracker());
        let (command, firecracker) = (command.display(), firecracker.display());
        let kernel = bench.file("guest");
        let script = format!(
            "n=0; while :; do n=$(( (n + 7) % 80 )); {command} net gc {places}; \
             timeout --foreground -s KILL 0.0$(( n + 10 )) {command} run --no-stdin --memory 32 --id victim --network eth0 \
             --kernel {} --firecracker {firecracker} {places}; done",
            kernel.display()
        );
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).stdin(Stdio::null()).process_group(0);
        Self(shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        // With all that it has started, which else would start one more VM after the last sweep.
        let group = Pid::from_child(&self.0);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.0.wait();
    }
}

#[test]
fn the_cleanup_of_a_living_owner_never_fails_by_sweeps_of_others() {
    let namespace = NetNamespace::new();
    // For good: what this test starts is to be there as well.
    namespace.enter();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let home = TestHome::new();
    let net = home.path().join("net");
    runtime.block_on(async {
        let bench = Bench::with(|options| {
            options.jail = JailMode::Required;
            options.network_state_dir.clone_from(&net);
        });
        let mut config = bench.config(&TinyGuest::halts());
        let eth0 = "eth0".to_owned();
        config.network_interfaces =
            vec![NetworkInterfaceConfig { iface_id: eth0, ..NetworkInterfaceConfig::default() }];
        let sweeper = Sweeper::start(&bench, &net);
        for round in 0..ROUNDS {
            let vm = bench.smartvm.create_vm(&config).unwrap();
            vm.start().await.unwrap_or_else(|error| panic!("{round}: {}", whole(&error)));
            vm.kill().await.unwrap();
            vm.cleanup().await.unwrap_or_else(|error| panic!("{round}: {}", whole(&error)));
        }
        drop(sweeper);
        // What the last one left.
        smartvm_testkit::eventually(std::time::Duration::from_secs(20), "all is swept", || {
            bench.smartvm.sweep().unwrap();
            bench.vm_dirs().is_empty().then_some(())
        });
        bench.smartvm.cleanup().await.unwrap();
    });
    drop(runtime);
}
