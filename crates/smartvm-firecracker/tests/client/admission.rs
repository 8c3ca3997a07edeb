//! What the client refuses before anything is sent.

use serde_json::json;
use smartvm_firecracker::api::{
    Balloon, HugePages, MachineConfigurationUpdate, MemoryBackend, MemoryBackendType, Pmem,
    SerialDevice, SnapshotLoadParams,
};
use smartvm_firecracker::capability::Method;
use smartvm_firecracker::{ApiClient, ApiError};

use crate::broken_firecracker::{BrokenFirecracker, answer, version_answer};

async fn client_of(server: &BrokenFirecracker, version: &str) -> ApiClient {
    let client = ApiClient::connect(&server.socket()).await.unwrap();
    client.with_version(version.parse().unwrap())
}

fn too_old(outcome: Result<(), ApiError>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), "FIRECRACKER_TOO_OLD");
    assert!(error.is_refusal() && error.hint().is_some());
    error.to_string()
}

#[tokio::test]
async fn what_the_version_does_not_know_is_not_sent() {
    let server = BrokenFirecracker::serve(vec![vec![version_answer("1.12.1")]]);
    let client = client_of(&server, "1.12.1").await;
    assert_eq!(
        too_old(client.put_serial(&SerialDevice::default()).await),
        "PUT /serial: PUT /serial needs Firecracker 1.14.0, and 1.12.1 is running"
    );
    let balloon = Balloon { free_page_reporting: Some(false), ..Balloon::default() };
    assert_eq!(
        too_old(client.put_balloon(&balloon).await),
        "PUT /balloon: free_page_reporting needs Firecracker 1.14.0, and 1.12.1 is running"
    );
    let pages = MachineConfigurationUpdate {
        huge_pages: Some(HugePages::Transparent),
        ..MachineConfigurationUpdate::default()
    };
    assert!(too_old(client.patch_machine_config(&pages).await).contains("Transparent"));
    let written = json!({"free_page_hinting": 1});
    too_old(client.request(Method::Put, "/balloon", Some(&written)).await.map(drop));
    client.version().await.unwrap();
    assert_eq!(server.requests(), ["get /version http/1.1"]);
}

#[tokio::test]
async fn a_field_of_two_lines_is_known_to_both_and_to_none_between() {
    let backend_path = "memory".into();
    let backend = MemoryBackend { backend_type: MemoryBackendType::File, backend_path };
    let load = SnapshotLoadParams {
        clock_realtime: Some(true),
        ..SnapshotLoadParams::new("vmstate", backend)
    };
    for version in ["1.14.4", "1.15.1", "1.16.0"] {
        let server = BrokenFirecracker::serve(vec![vec![answer("204 No Content", "")]]);
        client_of(&server, version).await.load_snapshot(&load).await.unwrap();
    }
    for version in ["1.12.1", "1.14.3", "1.15.0"] {
        let server = BrokenFirecracker::serve(vec![vec![]]);
        let refused = too_old(client_of(&server, version).await.load_snapshot(&load).await);
        assert!(refused.contains("clock_realtime needs Firecracker 1.14.4 or 1.15.1"), "{refused}");
    }
}

#[tokio::test]
async fn plugging_needs_1_16_and_pci() {
    let server = BrokenFirecracker::serve(vec![vec![answer("204 No Content", "")]]);
    let id = || "scratch".parse().unwrap();
    let pmem = Pmem::new(id(), "file");
    let old = client_of(&server, "1.15.1").await;
    assert!(too_old(old.hotplug_pmem(&pmem).await).contains("PUT /pmem/scratch after boot"));
    assert!(too_old(old.delete_pmem(&id()).await).contains("DELETE /pmem/{id}"));
    let without_pci = old.with_version("1.16.1".parse().unwrap()).with_pci(false);
    for refused in [without_pci.hotplug_pmem(&pmem).await, without_pci.delete_pmem(&id()).await] {
        assert_eq!(refused.unwrap_err().code(), "FIRECRACKER_WITHOUT_PCI");
    }
    without_pci.with_pci(true).hotplug_pmem(&pmem).await.unwrap();
    assert_eq!(server.requests(), ["put /pmem/scratch http/1.1"]);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_sent() {
    let done = || answer("204 No Content", "");
    let server = BrokenFirecracker::serve(vec![vec![done(), done()]]);
    let client = ApiClient::connect(&server.socket()).await.unwrap();
    let data = |length: usize| json!({ "a": "x".repeat(length - r#"{"a":""}"#.len()) });
    let error = client.put_mmds(&data(51_201)).await.unwrap_err();
    assert_eq!(error.code(), "API_REQUEST_TOO_LONG");
    assert!(error.to_string().contains("51201 bytes, and Firecracker takes 51200"), "{error}");
    client.put_mmds(&data(51_200)).await.unwrap();
    client.with_payload_limit(1 << 20).put_mmds(&data(1 << 20)).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_client_that_does_not_know_the_version_asks_firecracker() {
    let server = BrokenFirecracker::serve(vec![vec![answer("400", r#"{"fault_message":"no"}"#)]]);
    let client = ApiClient::connect(&server.socket()).await.unwrap();
    let error = client.put_serial(&SerialDevice::default()).await.unwrap_err();
    assert_eq!(error.code(), "API_REFUSED");
}
