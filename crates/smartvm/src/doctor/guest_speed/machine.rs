//! The smallest machine that KVM runs in 64-bit mode: one page of code, one processor.
//!
//! It is set up as Firecracker sets up its guests: entered in 64-bit mode with identity-mapped
//! memory. Real mode would be simpler and misleading: older processors emulate it.

use std::io;
use std::time::{Duration, Instant};

use kvm_bindings::{
    KVM_MAX_CPUID_ENTRIES, kvm_regs, kvm_segment, kvm_sregs, kvm_userspace_memory_region,
};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd};
use rustix::io::Errno;

use super::kick::Kick;
use super::measure::MeasureError;
use super::memory::GuestMemory;

/// Three pages below 4 GiB that Intel processors without unrestricted guests want set aside.
const TSS_ADDRESS: usize = 0xfffb_d000;

const PML4_ADDRESS: u64 = 0x9000;
const PDPT_ADDRESS: u64 = 0xa000;
const PAGE_DIRECTORY_ADDRESS: u64 = 0xb000;
const CODE_ADDRESS: u64 = 0x10_0000;

/// One page of the size that a page directory entry maps.
const MEMORY_SIZE: usize = 0x20_0000;

const PRESENT_AND_WRITABLE: u64 = 0b11;
const LARGE_PAGE: u64 = 1 << 7;

const CR0_PROTECTED: u64 = 1;
const CR0_PAGING: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LONG_MODE: u64 = 1 << 8 | 1 << 10;

/// Counts `rcx` down to zero, then hands back to us.
const CODE: [u8; 6] = [
    0x48, 0xff, 0xc9, // again: dec rcx
    0x75, 0xfb, // jnz again
    0xf4, // hlt
];

/// Instructions in one round of [`CODE`]'s loop.
pub(super) const INSTRUCTIONS_PER_ROUND: u64 = 2;

/// The only processor of the machine.
pub(super) struct Processor {
    vcpu: VcpuFd,
    sregs: kvm_sregs,
    // Last, since fields are dropped in order: no guest may run in unmapped memory.
    _memory: GuestMemory,
}

/// Builds the machine. Nothing of it outlives the processor.
pub(super) fn build(kvm: &Kvm) -> Result<Processor, MeasureError> {
    let memory = filled_memory()?;
    let vm = kvm.create_vm().map_err(kvm_failed("create a virtual machine"))?;
    vm.set_tss_address(TSS_ADDRESS).map_err(kvm_failed("set the TSS address"))?;
    let region = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: MEMORY_SIZE as u64,
        userspace_addr: memory.address(),
    };
    #[expect(unsafe_code, reason = "KVM is handed memory by its address")]
    // SAFETY: the region is a mapping of that size that nothing else in this process uses, and
    // the processor, without which no guest runs, keeps it mapped.
    unsafe {
        vm.set_user_memory_region(region).map_err(kvm_failed("give the guest its memory"))?;
    }
    let vcpu = vm.create_vcpu(0).map_err(kvm_failed("create a processor"))?;
    let cpuid = kvm
        .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(kvm_failed("read the processor features that KVM supports"))?;
    vcpu.set_cpuid2(&cpuid).map_err(kvm_failed("set the processor features"))?;
    let mut sregs = vcpu.get_sregs().map_err(kvm_failed("read the processor state"))?;
    enter_long_mode(&mut sregs);
    Ok(Processor { vcpu, sregs, _memory: memory })
}

impl Processor {
    /// Lets `kick` end a [`Processor::run`] on this thread.
    pub(super) fn listen_to(&self, kick: &Kick) -> Result<(), MeasureError> {
        kick.admit(&self.vcpu).map_err(failed("let a signal stop the guest"))
    }

    /// Runs `rounds` of the loop and returns how long that took, or nothing if `kick` ended it.
    pub(super) fn run(
        &mut self,
        rounds: u64,
        kick: &Kick,
    ) -> Result<Option<Duration>, MeasureError> {
        let regs = kvm_regs { rip: CODE_ADDRESS, rcx: rounds, rflags: 2, ..kvm_regs::default() };
        self.vcpu.set_sregs(&self.sregs).map_err(kvm_failed("set the processor mode"))?;
        self.vcpu.set_regs(&regs).map_err(kvm_failed("set the processor state"))?;
        let started = Instant::now();
        while !kick.is_given() {
            match self.vcpu.run() {
                Ok(VcpuExit::Hlt) => return Ok(Some(started.elapsed())),
                Ok(exit) => {
                    return Err(MeasureError::UnexpectedExit { exit: format!("{exit:?}") });
                }
                Err(error) if error.errno() != Errno::INTR.raw_os_error() => {
                    return Err(kvm_failed("run the guest")(error));
                }
                // The kick, or a debugger or a suspended machine that came in between.
                Err(_) => {}
            }
        }
        Ok(None)
    }
}

/// Page tables that map the first 2 MiB to themselves, and the code.
fn filled_memory() -> Result<GuestMemory, MeasureError> {
    let mut memory = GuestMemory::allocate(MEMORY_SIZE).map_err(failed("allocate guest memory"))?;
    for (table, entry) in [
        (PML4_ADDRESS, PDPT_ADDRESS | PRESENT_AND_WRITABLE),
        (PDPT_ADDRESS, PAGE_DIRECTORY_ADDRESS | PRESENT_AND_WRITABLE),
        (PAGE_DIRECTORY_ADDRESS, LARGE_PAGE | PRESENT_AND_WRITABLE),
    ] {
        memory.write(table, &entry.to_le_bytes());
    }
    memory.write(CODE_ADDRESS, &CODE);
    Ok(memory)
}

fn enter_long_mode(sregs: &mut kvm_sregs) {
    let code = kvm_segment {
        limit: 0xf_ffff,
        selector: 0x8,
        type_: 0xb, // execute, read, accessed
        present: 1,
        s: 1,
        l: 1,
        g: 1,
        ..kvm_segment::default()
    };
    let data = kvm_segment { selector: 0x10, type_: 0x3, l: 0, db: 1, ..code };
    sregs.cs = code;
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
    sregs.tr = kvm_segment { selector: 0x18, type_: 0xb, s: 0, l: 0, ..code };
    sregs.cr3 = PML4_ADDRESS;
    sregs.cr4 |= CR4_PAE;
    sregs.cr0 |= CR0_PROTECTED | CR0_PAGING;
    sregs.efer |= EFER_LONG_MODE;
}

fn kvm_failed(step: &'static str) -> impl Fn(kvm_ioctls::Error) -> MeasureError {
    move |error| failed(step)(io::Error::from_raw_os_error(error.errno()))
}

fn failed(step: &'static str) -> impl Fn(io::Error) -> MeasureError {
    move |source| MeasureError::Setup { step, source }
}
