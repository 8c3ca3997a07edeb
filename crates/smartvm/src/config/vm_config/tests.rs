use super::*;

fn sample() -> VmConfig {
    VmConfig {
        id: Some("sample".into()),
        boot_source: BootSourceConfig {
            kernel_image_path: "/vmlinux".into(),
            ..BootSourceConfig::default()
        },
        machine_config: MachineConfig::new(2, 256),
        drives: vec![drive("rootfs", true), drive("data", false)],
        ..VmConfig::default()
    }
}

fn drive(id: &str, is_root_device: bool) -> DriveConfig {
    DriveConfig {
        drive_id: id.into(),
        path_on_host: format!("/{id}.ext4").into(),
        is_root_device,
        ..DriveConfig::default()
    }
}

fn breaches(config: &VmConfig) -> Vec<String> {
    config.validate().unwrap_err().breaches().iter().map(ToString::to_string).collect()
}

#[test]
fn a_sound_configuration_is_accepted() {
    let spec = sample().validate().unwrap();
    assert_eq!(spec.id().as_str(), "sample");
    assert_eq!(spec.machine.vcpu_count.get(), 2);
    assert_eq!(spec.machine.mem_size_mib, 256);
}

#[test]
fn a_missing_id_becomes_a_random_one() {
    let config = VmConfig { id: None, ..sample() };
    assert_ne!(config.validate().unwrap().id(), config.validate().unwrap().id());
}

#[test]
fn every_breach_is_reported_at_once() {
    let mut config = sample();
    config.id = Some("../escape".into());
    config.boot_source.kernel_image_path = "".into();
    config.boot_source.boot_args = Some("console=ttyS0\nroot=/dev/vda".into());
    config.machine_config.vcpu_count = 0;
    config.machine_config.mem_size_mib = 0;
    config.drives[1].drive_id = "a b".into();
    config.drives[1].is_root_device = true;
    assert_eq!(
        breaches(&config),
        [
            "id must consist of letters, digits, `.`, `_` and `-`",
            "bootSource.kernelImagePath must name a kernel",
            "bootSource.bootArgs must be printable ASCII",
            "machineConfig.vcpuCount must be between 1 and 32",
            "machineConfig.memSizeMib must be >= 1",
            "drives[1].driveId must be 1 to 64 letters, digits or `_`",
            "drives must have at most one root device",
        ]
    );
}

#[test]
fn processor_counts_are_checked_at_their_limits() {
    for (vcpus, smt, accepted) in
        [(1, false, true), (32, false, true), (33, false, false), (1, true, true), (3, true, false)]
    {
        let mut config = sample();
        config.machine_config.vcpu_count = vcpus;
        config.machine_config.smt = Some(smt);
        assert_eq!(config.validate().is_ok(), accepted, "{vcpus} processors, smt {smt}");
    }
}

#[test]
fn two_drives_cannot_share_an_id() {
    let mut config = sample();
    config.drives[1].drive_id = "rootfs".into();
    assert_eq!(breaches(&config), ["drives[1].driveId must be unique"]);
}

#[test]
fn the_root_drive_is_attached_first() {
    let mut config = sample();
    config.drives.reverse();
    let ids: Vec<_> = config
        .validate()
        .unwrap()
        .drives()
        .iter()
        .map(|drive| drive.config().drive_id.clone())
        .collect();
    assert_eq!(ids, ["rootfs", "data"]);
}

#[test]
fn the_specification_does_not_follow_later_changes() {
    let mut config = sample();
    let spec = config.validate().unwrap();
    config.drives[0].path_on_host = "/changed".into();
    assert_eq!(spec.drives()[0].config().path_on_host.as_os_str(), "/rootfs.ext4");
}
