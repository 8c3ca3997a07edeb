//! What the jailer is told on its command line.

use std::ffi::OsString;
use std::path::Path;

use super::JailSpec;

/// The arguments of the jailer. It starts `firecracker` with the arguments `inner`, and with the
/// jail's id.
///
/// Neither `--new-pid-ns`, with which the jailer would start Firecracker as a child of its own and
/// end, nor `--cgroup`: the process is in its namespace and its control group before the jailer
/// starts, and stays our child.
pub(crate) fn arguments(
    jail: &JailSpec,
    firecracker: &Path,
    inner: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec![
        "--id".into(),
        jail.id.clone().into(),
        "--exec-file".into(),
        firecracker.into(),
        "--uid".into(),
        jail.uid.to_string().into(),
        "--gid".into(),
        jail.gid.to_string().into(),
        "--chroot-base-dir".into(),
        jail.chroot_base.clone().into(),
    ];
    if let Some(netns) = &jail.netns {
        args.extend(["--netns".into(), netns.clone().into()]);
    }
    let limits = [("fsize", jail.limits.fsize), ("no-file", jail.limits.no_file)];
    for (name, limit) in limits {
        if let Some(limit) = limit {
            args.extend(["--resource-limit".into(), format!("{name}={limit}").into()]);
        }
    }
    args.push("--".into());
    args.extend(inner);
    args
}

#[cfg(test)]
mod tests {
    use super::super::{JailerBinary, ResourceLimits};
    use super::*;

    fn line(jail: &JailSpec) -> String {
        let inner = ["--api-sock".into(), "firecracker.sock".into()];
        let args = arguments(jail, Path::new("/opt/firecracker"), inner);
        args.join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn the_jailer_is_told_who_where_and_what() {
        let mut jail = JailSpec {
            jailer: JailerBinary::open("/bin/sh".as_ref()).unwrap(),
            id: "vm-1".to_owned(),
            uid: 70_000,
            gid: 70_001,
            chroot_base: "/srv/jail".into(),
            netns: None,
            limits: ResourceLimits::default(),
            cgroup: None,
            binds: Vec::new(),
        };
        let start = "--id vm-1 --exec-file /opt/firecracker --uid 70000 --gid 70001 \
                     --chroot-base-dir /srv/jail";
        assert_eq!(line(&jail), format!("{start} -- --api-sock firecracker.sock"));
        jail.netns = Some("/run/netns/a".into());
        jail.limits = ResourceLimits { fsize: Some(1 << 30), no_file: Some(512) };
        assert_eq!(
            line(&jail),
            format!(
                "{start} --netns /run/netns/a --resource-limit fsize=1073741824 \
                 --resource-limit no-file=512 -- --api-sock firecracker.sock"
            )
        );
    }
}
