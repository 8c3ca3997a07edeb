//! How much memory a process takes for the VMs that it holds.
//!
//! Promised: at most 300 KiB a VM on top of the idle process.

use anyhow::Context;

use crate::setup::Setup;

const VMS: u32 = 50;

pub(crate) fn run() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let manager = setup.manager()?;
        let idle = resident_kib()?;
        for _ in 0..VMS {
            manager.create_vm(&setup.config())?.start().await?;
        }
        let holding = resident_kib()?;
        for id in manager.list_vms() {
            if let Some(vm) = manager.get_vm(id.as_str()) {
                vm.cleanup().await?;
            }
        }
        let per_vm = f64::from(holding.saturating_sub(idle)) / f64::from(VMS);
        println!("memory: resident size of a process that holds VMs, tiny guests");
        println!("idle {idle} KiB, with {VMS} running VMs {holding} KiB");
        println!("a VM: {per_vm:.0} KiB (promised <= 300)");
        Ok(())
    })
}

/// The resident size of this process, from the kernel.
fn resident_kib() -> anyhow::Result<u32> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
