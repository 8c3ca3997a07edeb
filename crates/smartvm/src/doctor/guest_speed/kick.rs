//! Getting a processor out of a guest that does not return.
//!
//! The signal for it is blocked in the guest's thread, always, and let through by KVM only while
//! the guest runs: it ends the run with `EINTR` and is blocked again before it could be
//! delivered. So there is no handler, and nothing in the rest of the process changes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use kvm_ioctls::VcpuFd;

/// Any signal does, as it is never delivered.
const SIGNAL: libc::c_int = libc::SIGUSR1;

/// `_IOW(KVMIO, 0x8b, struct kvm_signal_mask)`, which kvm-ioctls lacks.
const KVM_SET_SIGNAL_MASK: libc::c_ulong = 0x4004_ae8b;

/// `struct kvm_signal_mask` with the kernel's signal set of 64 bits.
#[repr(C, packed)]
struct SignalMask {
    length: u32,
    blocked: u64,
}

/// Shared by the thread that runs the guest and the one that may end it.
#[derive(Debug, Default)]
pub(super) struct Kick {
    admitted: AtomicBool,
    given: AtomicBool,
}

impl Kick {
    /// Blocks all signals in the calling thread, and lets KVM end a run of `vcpu` in it.
    ///
    /// To be called in the thread that runs the guest, before it does.
    pub(super) fn admit(&self, vcpu: &VcpuFd) -> io::Result<()> {
        block_all_signals()?;
        let mask = SignalMask { length: 8, blocked: !(1 << (SIGNAL - 1)) };
        #[expect(unsafe_code, reason = "kvm-ioctls has no such call")]
        // SAFETY: the descriptor is a processor's, and the kernel only reads the mask, whose
        // layout is the one it expects.
        let set = unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_SET_SIGNAL_MASK, &raw const mask) };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        self.admitted.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Ends the run that `thread` is in. A thread that has not yet admitted it would die of the
    /// signal and gets none; it finds that the kick was given before it runs the guest.
    pub(super) fn give<T>(&self, thread: &JoinHandle<T>) {
        self.given.store(true, Ordering::SeqCst);
        if !self.admitted.load(Ordering::SeqCst) {
            return;
        }
        #[expect(unsafe_code, reason = "a signal is sent by a system call")]
        // SAFETY: a thread that was neither joined nor detached has a valid id, ended or not.
        unsafe {
            // It can fail only because the thread has ended.
            libc::pthread_kill(thread.as_pthread_t(), SIGNAL);
        }
    }

    pub(super) fn is_given(&self) -> bool {
        self.given.load(Ordering::SeqCst)
    }
}

fn block_all_signals() -> io::Result<()> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    #[expect(unsafe_code, reason = "signal masks are set by C functions")]
    // SAFETY: the set is filled before it is read, and the old mask is not asked for.
    let result = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}
