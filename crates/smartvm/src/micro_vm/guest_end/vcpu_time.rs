//! How busy a guest is.

use std::path::PathBuf;

/// The processor time that the vCPU threads of one Firecracker used.
#[derive(Debug)]
pub(super) struct VcpuTime {
    tasks_dir: PathBuf,
}

impl VcpuTime {
    /// Of the Firecracker with this process id.
    pub(super) fn of(pid: u32) -> Self {
        Self { tasks_dir: PathBuf::from(format!("/proc/{pid}/task")) }
    }

    /// The sum in nanoseconds; none when the process is gone.
    pub(super) fn nanoseconds(&self) -> Option<u64> {
        let tasks = fs_err::read_dir(&self.tasks_dir).ok()?;
        let dirs = tasks.filter_map(|task| Some(task.ok()?.path()));
        let vcpus = dirs.filter(|dir| {
            fs_err::read_to_string(dir.join("comm")).is_ok_and(|name| name.starts_with("fc_vcpu"))
        });
        vcpus.map(|dir| run_time(&fs_err::read_to_string(dir.join("schedstat")).ok()?)).sum()
    }
}

/// The first field of a thread's `schedstat`: time spent on a processor.
fn run_time(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_on_a_processor_is_the_first_field() {
        assert_eq!(run_time("123456 789 42\n"), Some(123_456));
        assert_eq!(run_time(""), None);
    }
}
