//! What is said of a snapshot to a person.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use smartvm::snapshot::{DriveContent, Snapshot};

/// Everything that matters, a line each.
pub(super) fn describe(snapshot: &Snapshot) -> String {
    let manifest = snapshot.manifest();
    let mut text = format!(
        "name         {}\nkind         {}\nof VM        {}\nmade         {} ago\nmemory       {} MiB\n\
         on disk      {} MiB\nFirecracker  {} (form {})\nprocessor    {}, {}\nkernel       {}",
        manifest.name,
        manifest.kind,
        manifest.vm_id,
        age(manifest.created_at_ms),
        manifest.memory_size >> 20,
        snapshot.bytes_on_disk().div_ceil(1 << 20),
        manifest.firecracker_version,
        manifest.snapshot_format,
        manifest.architecture,
        manifest.cpu.model_name,
        manifest.host_kernel,
    );
    if let Some(parent) = &manifest.parent {
        text.push_str(&format!("\nbuilt on     {}", parent.name));
    }
    for drive in &manifest.drives {
        let content = match &drive.content {
            DriveContent::Captured => "captured".to_owned(),
            DriveContent::Shared { path } => format!("shared, {}", path.display()),
        };
        text.push_str(&format!("\ndrive        {} ({content})", drive.drive_id));
    }
    text
}

/// How long ago, in its largest unit.
pub(super) fn age(created_at_ms: u64) -> String {
    let then = UNIX_EPOCH + Duration::from_millis(created_at_ms);
    let seconds = SystemTime::now().duration_since(then).unwrap_or_default().as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds >= *size).unwrap_or((1, "s"));
    format!("{} {unit}", seconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ago =
            |seconds: u64| age(u64::try_from(now.as_millis()).unwrap_or_default() - seconds * 1000);
        assert_eq!(ago(7201), "2 h");
        assert_eq!(ago(86_400 * 3 + 5), "3 d");
        assert_eq!(age(u64::MAX / 1_000_000), "0 s");
    }
}
