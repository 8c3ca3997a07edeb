//! What it makes of its directory.

use std::os::unix::net::UnixListener;

use smartvm::DriveUpdate;

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
