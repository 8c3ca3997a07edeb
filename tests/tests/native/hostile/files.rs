//! What it makes of its directory.

use std::os::unix::net::UnixListener;

use smartvm::{DriveUpdate, LoggerConfig, MetricsConfig};

use super::{Lair, within};

#[tokio::test]
async fn a_socket_that_it_leads_to_another_service_gets_no_request_of_ours() {
    let mut lair = Lair::new();
    let decoy = lair.bench.file("service.sock");
    let service = UnixListener::bind(&decoy).unwrap();
    service.set_nonblocking(true).unwrap();
    let canary = std::mem::replace(&mut lair.canary.path, decoy);
    let vm = lair.started("moves-socket").await;
    lair.canary.path = canary;
    within("info", vm.info()).await.unwrap_err();
    within("pause", vm.pause()).await.unwrap_err();
    while let Ok((mut stream, _)) = service.accept() {
        let mut said = Vec::new();
        stream.set_nonblocking(false).unwrap();
        std::io::Read::read_to_end(&mut stream, &mut said).unwrap();
        assert_eq!(String::from_utf8_lossy(&said), "", "a stranger was asked");
    }
    lair.ends(vm).await;
}

#[tokio::test]
async fn a_directory_full_of_links_pipes_and_depth_is_removed_and_nothing_else() {
    let lair = Lair::new();
    let vm = lair.started("litters").await;
    lair.ends(vm).await;
}

#[tokio::test]
async fn names_that_it_planted_lead_a_changed_drive_nowhere() {
    let lair = Lair::new();
    let vm = lair.started("plants-names").await;
    let new = lair.bench.file("new");
    fs_err::write(&new, vec![3; 64 << 10]).unwrap();
    let update = DriveUpdate { path_on_host: Some(new), ..DriveUpdate::default() };
    within("an update", vm.update_drive("own", update)).await.unwrap();
    lair.ends(vm).await;
}

#[tokio::test]
async fn pipes_that_it_replaces_by_links_lead_no_output_of_ours_anywhere() {
    let lair = Lair::new();
    let files = ["fc.log", "metrics.json", "console.log"].map(|name| lair.bench.file(name));
    let [log, metrics, console] = files.clone();
    let vm = lair.vm_with("moves-outputs", |config| {
        config.logger = Some(LoggerConfig { log_path: Some(log), ..LoggerConfig::default() });
        let metrics_path = Some(metrics);
        config.metrics = Some(MetricsConfig { metrics_path, ..MetricsConfig::default() });
        config.console_file = Some(console);
    });
    within("start", vm.start()).await.unwrap();
    within("info", vm.info()).await.unwrap();
    lair.ends(vm).await;
    for file in files {
        assert!(fs_err::symlink_metadata(file).unwrap().is_file());
    }
}

#[tokio::test]
async fn a_directory_that_it_leads_elsewhere_before_its_start_is_over_gets_no_drive_there() {
    let lair = Lair::new();
    let there = std::path::Path::new("/etc/own-own");
    let vm = lair.vm_with("swaps-drives", |config| {
        // Large enough for its copy to be under way by then.
        let own = fs_err::File::options().write(true).open(&config.drives[0].path_on_host);
        std::io::Write::write_all(&mut own.unwrap(), &vec![1; 64 << 20]).unwrap();
    });
    let _ = within("start", vm.start()).await;
    assert!(fs_err::symlink_metadata(there).is_err(), "a drive was made outside of its jail");
    within("cleanup", vm.cleanup()).await.unwrap();
    assert!(fs_err::symlink_metadata(there).is_err(), "a drive was made outside of its jail");
    lair.ends(lair.started("obeys").await).await;
}
