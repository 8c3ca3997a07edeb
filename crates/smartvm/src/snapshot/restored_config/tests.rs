use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::jail::JailConfig;
use crate::snapshot::compatible::HostIdentity;
use crate::snapshot::restore::{RestorePlan, RestoreRefused, SharedDrive};
use crate::snapshot::samples::put;
use crate::snapshot::{SnapshotError, SnapshotStore};

/// A store with a snapshot `one`, whose manifest is as `change` leaves it.
fn stored(change: impl FnOnce(&mut Value)) -> (tempfile::TempDir, SnapshotStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(&dir.path().join("snapshots")).unwrap();
    let made = put(&store, "one", None, &[(0, 1)]);
    let path = made.dir().join("manifest.json");
    let text = fs_err::read_to_string(&path).unwrap();
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    let before = manifest.clone();
    change(&mut manifest);
    if manifest != before {
        fs_err::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    }
    (dir, store)
}

fn request() -> RestoreVm {
    RestoreVm::new("one".parse().unwrap())
}

fn planned(store: &SnapshotStore, request: RestoreVm) -> Result<RestorePlan, SnapshotError> {
    let snapshot = store.get(&request.snapshot).unwrap();
    let images = store.dir().with_file_name("base-images");
    RestorePlan::new(request, snapshot, &HostIdentity::here().unwrap(), &images)
}

fn restored(request: RestoreVm, config: Value) -> VmConfig {
    let (_dir, store) = stored(|manifest| {
        for (key, value) in config.as_object().unwrap() {
            manifest["config"][key] = value.clone();
        }
    });
    planned(&store, request).unwrap().config(true)
}

fn jail(json: Value) -> JailConfig {
    serde_json::from_value(json).unwrap()
}

#[test]
fn a_manifest_does_not_decide_whether_and_as_whom_its_vm_is_jailed() {
    for theirs in [
        json!({ "enabled": false }),
        json!({ "uid": 1000, "gid": 1000 }),
        json!({ "netns": "/proc/1/ns/net" }),
        json!({ "cgroup": { "cpus": "0" } }),
        json!({ "cgroup": { "ioMax": [{ "device": "/dev/sda", "readBytes": 1 }] } }),
    ] {
        let config = restored(request(), json!({ "jail": theirs }));
        assert_eq!(config.jail, JailConfig::default(), "{theirs}");
    }
    let ours = jail(json!({ "enabled": true, "uid": 70_000, "netns": "/run/netns/ours" }));
    let request = RestoreVm { jail: ours.clone(), ..request() };
    let theirs = json!({ "enabled": false, "uid": 1000, "netns": "/proc/1/ns/net" });
    assert_eq!(restored(request, json!({ "jail": theirs })).jail, ours);
}

#[test]
fn limits_of_a_manifest_hold_where_they_are_the_stricter_ones() {
    let limits = |cpu, memory, pids, fsize: i64, files| {
        jail(json!({
            "cgroup": { "cpuMaxPercent": cpu, "memoryMaxMib": memory, "pidsMax": pids },
            "resourceLimits": { "fsize": fsize, "noFile": files },
        }))
    };
    let ours = limits(100, 512, 20, 1_i64 << 30, 512);
    let theirs = limits(50, 1024, 10, 1_i64 << 40, 256);
    let request = RestoreVm { jail: ours, ..request() };
    let theirs = json!({ "jail": theirs });
    assert_eq!(
        restored(request.clone(), theirs.clone()).jail,
        limits(50, 512, 10, 1_i64 << 30, 256)
    );
    // Without a jail there is nothing that could limit it.
    let (_dir, store) = stored(|manifest| manifest["config"]["jail"] = theirs["jail"].clone());
    let unjailed = planned(&store, super::RestoreVm { jail: JailConfig::default(), ..request });
    assert_eq!(unjailed.unwrap().config(false).jail, JailConfig::default());
}

#[test]
fn a_manifest_names_no_file_of_the_host_that_its_vm_writes_or_listens_at() {
    let config = restored(
        request(),
        json!({
            "consoleFile": "/etc/passwd",
            "serial": { "serialOutPath": "/etc/passwd" },
            "logger": { "logPath": "/etc/shadow", "level": "Trace" },
            "metrics": { "metricsPath": "/etc/group", "emitId": true },
            "vsock": { "guestCid": 3, "udsPath": "/run/docker.sock" },
        }),
    );
    assert_eq!((config.console_file, config.serial, config.logger), (None, None, None));
    let metrics = config.metrics.unwrap();
    assert_eq!((metrics.metrics_path, metrics.emit_id), (None, Some(true)));
    assert_eq!(config.vsock.unwrap().uds_path, None);
}

#[test]
fn a_manifest_from_elsewhere_chooses_no_tap_and_opens_no_port() {
    let interfaces = json!([
        { "ifaceId": "a", "hostDevName": "docker0" },
        { "ifaceId": "b", "ipAddress": "172.30.0.9", "publishedPorts": ["22:22"],
          "firewall": { "egress": { "defaultAction": "allow" } } },
    ]);
    let named = serde_json::from_value(json!([{ "iface_id": "b", "host_dev_name": "tap7" }]));
    let request = RestoreVm { network_overrides: named.unwrap(), ..request() };
    let config = restored(request, json!({ "networkInterfaces": interfaces }));
    let [a, b] = &config.network_interfaces[..] else { panic!("two interfaces") };
    assert_eq!((a.host_dev_name.as_deref(), b.host_dev_name.as_deref()), (None, Some("tap7")));
    assert_eq!(
        (b.ip_address.clone(), b.firewall.clone(), b.published_ports.len()),
        (None, None, 0)
    );
    config.validate().unwrap();
}

#[test]
fn a_snapshot_that_was_made_here_keeps_its_tap() {
    let (_dir, store) = stored(|_| {});
    let snapshot = store.get(&"one".parse().unwrap()).unwrap();
    assert!(snapshot.is_made_here());
    let mut interface = NetworkInterfaceConfig {
        host_dev_name: Some("tap0".into()),
        ..NetworkInterfaceConfig::default()
    };
    connect(&mut interface, &request(), true);
    assert_eq!(interface.host_dev_name.as_deref(), Some("tap0"));
}

#[test]
fn a_manifest_from_elsewhere_names_no_file_of_the_host_as_a_drive() {
    let share = |path: &Path| {
        let path = path.to_owned();
        stored(move |manifest| {
            manifest["drives"][0]["readOnly"] = json!(true);
            manifest["drives"][0]["content"] = json!({ "shared": { "path": path } });
        })
    };
    let (_dir, store) = share(Path::new("/etc/shadow"));
    assert!(!store.get(&"one".parse().unwrap()).unwrap().is_made_here());
    let refused = planned(&store, request()).unwrap_err();
    assert_eq!(refused.code(), "SNAPSHOT_DRIVE_UNNAMED");
    assert!(refused.hint().unwrap().contains("--drive rootfs=PATH"));

    let named = |id: &str| {
        let path = PathBuf::from("/images/root");
        RestoreVm { drives: vec![SharedDrive { drive_id: id.into(), path }], ..request() }
    };
    let plan = planned(&store, named("rootfs")).unwrap();
    let content = &plan.snapshot.manifest().drives[0].content;
    assert_eq!(*content, DriveContent::Shared { path: "/images/root".into() });
    let wrong = planned(&store, named("other")).unwrap_err();
    assert!(matches!(wrong, SnapshotError::Refused(RestoreRefused::NoSuchDrive { .. })));

    // A base image of ours is nobody's secret; what a link makes of it is.
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("base-images");
    fs_err::create_dir(&images).unwrap();
    fs_err::write(images.join("root"), "").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", images.join("link")).unwrap();
    for (name, allowed) in [("root", true), ("link", false), ("../x", false), ("none", false)] {
        let (_dir, store) = share(&images.join(name));
        let snapshot = store.get(&"one".parse().unwrap()).unwrap();
        let host = HostIdentity::here().unwrap();
        let planned = RestorePlan::new(request(), snapshot, &host, &images);
        assert_eq!(planned.is_ok(), allowed, "{name}");
    }
}

#[test]
fn a_snapshot_that_was_copied_changed_or_renamed_was_not_made_here() {
    let (dir, store) = stored(|_| {});
    let one = store.get(&"one".parse().unwrap()).unwrap();
    let there = SnapshotStore::open(&dir.path().join("there/snapshots")).unwrap();
    fs_err::rename(one.dir(), there.dir().join("one")).unwrap();
    assert!(!there.get(&"one".parse().unwrap()).unwrap().is_made_here(), "another store");
    let (_dir, store) = stored(|manifest| manifest["createdAtMs"] = json!(7));
    assert!(!store.get(&"one".parse().unwrap()).unwrap().is_made_here(), "another manifest");
}
