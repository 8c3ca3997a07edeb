//! How a guest's end shows where Firecracker does not see it.
//!
//! A Linux guest on x86 that powers off halts its vCPUs, but Firecracker knows no power button and goes on running. The
//! console's last line tells (`console_watch`): once it says that the kernel powered down, nothing follows it and the vCPUs use
//! no processor time (`vcpu_time`) for two seconds, the guest has ended (`end_watch`).
//!
//! A kernel panic shows there too: `panic=1` makes the kernel reset the machine, and Firecracker then ends as it does
//! after any reboot.
//!
//! A program in the guest can print these lines as well. It can thereby change only how its own end is reported, and a
//! guest that goes on working is not ended.

mod console_watch;
mod end_watch;
mod vcpu_time;

pub(super) use end_watch::EndWatch;
