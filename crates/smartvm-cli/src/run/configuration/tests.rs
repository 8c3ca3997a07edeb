use std::path::Path;

use clap::Parser;
use smartvm::VmConfig;

use super::{DEFAULT_BOOT_ARGS, assemble};
use crate::args::{Args, Verb};
use crate::failure::Failure;
use crate::settings::Settings;

/// What a command line makes of a configuration file, in a directory of its own.
fn config(file: Option<&str>, args: &[&str]) -> Result<VmConfig, Failure> {
    let dir = tempfile::tempdir().unwrap();
    let mut line = vec!["smartvm".to_owned(), "run".to_owned()];
    line.extend(args.iter().map(|arg| (*arg).to_owned()));
    if let Some(json) = file {
        let path = dir.path().join("vm.json");
        fs_err::write(&path, json).unwrap();
        line.extend(["--config".to_owned(), path.display().to_string()]);
    }
    let args = Args::try_parse_from(line).unwrap();
    let Verb::Run(run) = args.verb else { panic!("the line says run") };
    assemble(&run, None, &settings(dir.path()))
}

fn settings(dir: &Path) -> Settings {
    Settings {
        data_dir: dir.join("data"),
        runtime_dir: dir.join("run"),
        jail_dir: None,
        image_cache_dir: None,
        firecracker: None,
        verify_key: None,
        accepted_defects: Vec::new(),
        network_dir: dir.join("net"),
        wireguard: None,
        network: crate::net::NetworkFlags::default(),
        audit: None,
        disk_budget: None,
        path_var: None,
        agent: None,
    }
}

const FILE: &str = r#"{"id":"web","bootSource":{"kernelImagePath":"/k","initrdPath":"/i","bootArgs":"quiet"},
    "machineConfig":{"vcpuCount":2,"memSizeMib":256},
    "drives":[{"driveId":"sys","pathOnHost":"/r","isRootDevice":true,"ephemeral":false},
              {"driveId":"drive1","pathOnHost":"/d","isRootDevice":false,"isReadOnly":true}]}"#;

#[test]
fn a_kernel_alone_makes_a_small_machine_with_a_serial_console() {
    let config = config(None, &["--kernel", "/k"]).unwrap();
    assert_eq!(config.boot_source.kernel_image_path, Path::new("/k"));
    assert_eq!(config.boot_source.boot_args.as_deref(), Some(DEFAULT_BOOT_ARGS));
    assert_eq!((config.machine_config.vcpu_count, config.machine_config.mem_size_mib), (1, 128));
    assert!(config.drives.is_empty());
}

#[test]
fn a_file_without_flags_is_taken_as_it_is() {
    assert_eq!(config(Some(FILE), &[]).unwrap(), VmConfig::from_json(FILE).unwrap());
}

#[test]
fn flags_override_the_file() {
    let flags = ["--kernel", "/k2", "--initrd", "/i2", "--boot-args", "-x", "--id", "db"];
    let more = ["--vcpus", "4", "--memory", "1G"];
    let config = config(Some(FILE), &[&flags[..], &more].concat()).unwrap();
    assert_eq!(config.id.as_deref(), Some("db"));
    assert_eq!(config.boot_source.kernel_image_path, Path::new("/k2"));
    assert_eq!(config.boot_source.initrd_path.as_deref(), Some(Path::new("/i2")));
    assert_eq!(config.boot_source.boot_args.as_deref(), Some("-x"));
    assert_eq!((config.machine_config.vcpu_count, config.machine_config.mem_size_mib), (4, 1024));
}

#[test]
fn a_root_drive_replaces_the_files_and_other_drives_are_added_with_free_ids() {
    let args = ["--rootfs", "/new", "--drive", "/a", "--drive", "/b:ro,id=drive2"];
    let drives = config(Some(FILE), &args).unwrap().drives;
    let seen: Vec<_> = drives
        .iter()
        .map(|d| (d.drive_id.as_str(), d.path_on_host.to_str().unwrap(), d.is_root_device))
        .collect();
    let expected = [
        ("rootfs", "/new", true),
        ("drive1", "/d", false),
        ("drive3", "/a", false),
        ("drive2", "/b", false),
    ];
    assert_eq!(seen, expected);
    assert_eq!(drives[2].is_read_only, Some(false));
    assert_eq!(drives[3].is_read_only, Some(true));
}

#[test]
fn the_files_root_drive_can_be_made_read_only() {
    let drives = config(Some(FILE), &["--rootfs-read-only"]).unwrap().drives;
    assert_eq!(drives[0].is_read_only, Some(true));
}

#[test]
fn whether_drives_are_copied_is_decided_for_the_writable_ones() {
    let ephemeral = |flag: &str| -> Vec<_> {
        let drives = config(Some(FILE), &[flag, "--drive", "/a"]).unwrap().drives;
        drives.iter().map(|drive| drive.ephemeral).collect()
    };
    assert_eq!(ephemeral("--ephemeral"), [Some(true), None, Some(true)]);
    assert_eq!(ephemeral("--persistent"), [Some(false), None, Some(false)]);
}

#[test]
fn without_any_kernel_the_error_says_how_to_get_one() {
    let failure = config(None, &[]).unwrap_err();
    assert_eq!(failure.exit().number(), 3);
    assert!(failure.to_string().contains("smartvm kernel import"));
}

#[test]
fn a_bare_word_that_is_neither_kernel_nor_file_is_not_found() {
    let failure = config(None, &["--kernel", "no-such-kernel"]).unwrap_err();
    assert_eq!(failure.exit().number(), 3, "{failure}");
}

#[test]
fn copies_are_kept_where_the_flags_say() {
    let file = r#"{"bootSource":{"kernelImagePath":"/k"},"logger":{"level":"Debug","logPath":"/l"},
        "machineConfig":{"vcpuCount":1,"memSizeMib":128}}"#;
    let args = ["--console-log", "/c", "--log", "/f", "--metrics", "rel"];
    let config = config(Some(file), &args).unwrap();
    assert_eq!(config.console_file.as_deref(), Some(Path::new("/c")));
    let logger = config.logger.unwrap();
    assert_eq!(logger.log_path.as_deref(), Some(Path::new("/f")));
    assert!(logger.level.is_some(), "the rest of the section stays");
    assert!(config.metrics.unwrap().metrics_path.unwrap().is_absolute());
}

#[test]
fn devices_are_added_to_the_files_and_override_them() {
    let file = r#"{"bootSource":{"kernelImagePath":"/k"},
        "networkInterfaces":[{"ifaceId":"eth0","hostDevName":"old","mtu":1400}],
        "balloon":{"amountMib":1,"deflateOnOom":true},"vsock":{"guestCid":9,"udsPath":"/old"}}"#;
    let flags = ["--network", "eth0=tap0,mac=02:00:00:00:00:01", "--network", "eth1=tap1"];
    let more = ["--vsock", "3:/run/v.sock", "--balloon", "64", "--entropy"];
    let config = config(Some(file), &[&flags[..], &more].concat()).unwrap();
    let nics: Vec<_> = config
        .network_interfaces
        .iter()
        .map(|nic| (nic.iface_id.as_str(), nic.host_dev_name.as_deref().unwrap(), nic.mtu))
        .collect();
    assert_eq!(nics, [("eth0", "tap0", Some(1400)), ("eth1", "tap1", None)]);
    assert_eq!(config.network_interfaces[0].guest_mac.as_deref(), Some("02:00:00:00:00:01"));
    let vsock = config.vsock.unwrap();
    assert_eq!((vsock.guest_cid, vsock.uds_path.as_deref()), (3, Some(Path::new("/run/v.sock"))));
    let balloon = config.balloon.unwrap();
    assert_eq!((balloon.amount_mib, balloon.deflate_on_oom), (64, true));
    assert!(config.entropy.is_some() && !config.enable_pci);
}

#[test]
fn metadata_is_served_on_every_network_device() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metadata.json");
    fs_err::write(&path, r#"{"role":"web"}"#).unwrap();
    let path = path.to_str().unwrap();
    let args = ["--kernel", "/k", "--network", "a=tap0", "--network", "b=tap1", "--metadata", path];
    let mmds = config(None, &args).unwrap().mmds.unwrap();
    assert_eq!(mmds.network_interfaces, ["a", "b"]);
    assert_eq!(mmds.data.unwrap()["role"], "web");

    let alone = config(None, &["--kernel", "/k", "--metadata", path]).unwrap();
    assert!(alone.validate().is_err(), "without a network device nobody could reach it");
    fs_err::write(path, "[1]").unwrap();
    let failure = config(None, &args).unwrap_err();
    assert!(failure.to_string().contains("metadata"), "{failure}");
}

#[test]
fn with_a_pci_bus_the_kernel_is_not_told_to_ignore_it() {
    let config = config(None, &["--kernel", "/k", "--pci"]).unwrap();
    assert!(config.enable_pci);
    assert_eq!(config.boot_source.boot_args.as_deref(), Some("console=ttyS0 reboot=k panic=1"));
}
