//! The option's cases, those of the TypeScript original among them.

use super::*;

const CONFIG: &str = "[Interface]\n\
    PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n\
    Address = 10.70.0.2/32\n";

fn read(json: serde_json::Value) -> Result<WireGuardSpec, InvalidWireGuard> {
    let options: WireGuardOptions = serde_json::from_value(json).expect("the JSON has that form");
    WireGuardSpec::try_from(&options)
}

#[test]
fn a_managed_interface_has_the_documented_defaults() {
    let spec = read(serde_json::json!({ "config": CONFIG })).unwrap();
    assert_eq!(spec.interface().as_str(), "svwg0");
    assert_eq!(spec.route_table(), 51820);
    assert!(spec.routes_all_vm_traffic() && spec.fails_closed());
    assert_eq!(spec.managed().unwrap().addresses[0].to_string(), "10.70.0.2/32");
}

#[test]
fn an_existing_interface_is_not_ours() {
    let spec = read(serde_json::json!({
        "existingInterface": "wgsmartvm0", "routeAllVmTraffic": false, "failClosed": false,
        "routeTable": 4_294_967_295u32,
    }))
    .unwrap();
    assert_eq!(spec.interface().as_str(), "wgsmartvm0");
    assert_eq!(spec.route_table(), u32::MAX);
    assert!(!spec.routes_all_vm_traffic() && !spec.fails_closed());
    assert!(spec.managed().is_none());
}

#[test]
fn what_is_wrong_has_its_code() {
    for (json, code) in [
        (serde_json::json!({}), "INVALID_WIREGUARD_CONFIG"),
        (
            serde_json::json!({ "existingInterface": "wg0", "config": CONFIG }),
            "INVALID_WIREGUARD_CONFIG",
        ),
        (serde_json::json!({ "config": "" }), "INVALID_WIREGUARD_CONFIG"),
        (serde_json::json!({ "config": "[Interface]\nPostUp=x" }), "INVALID_WIREGUARD_CONFIG"),
        (serde_json::json!({ "config": CONFIG, "routeTable": 0 }), "INVALID_WIREGUARD_CONFIG"),
        (serde_json::json!({ "config": CONFIG, "routeTable": -1 }), "INVALID_WIREGUARD_CONFIG"),
        (serde_json::json!({ "config": CONFIG, "routeTable": 254 }), "INVALID_WIREGUARD_CONFIG"),
        (
            serde_json::json!({ "existingInterface": "wg0", "routeTable": 4_294_967_296u64 }),
            "INVALID_WIREGUARD_CONFIG",
        ),
        (serde_json::json!({ "existingInterface": "bad name" }), "INVALID_INTERFACE_NAME"),
        (
            serde_json::json!({ "config": CONFIG, "interfaceName": "sixteen-letters-" }),
            "INVALID_INTERFACE_NAME",
        ),
    ] {
        let error = read(json.clone()).expect_err("a wrong option");
        assert_eq!(error.code(), code, "{json}: {error}");
    }
}

#[test]
fn keys_of_an_option_are_neither_shown_nor_written() {
    let options: WireGuardOptions =
        serde_json::from_value(serde_json::json!({ "config": CONFIG, "routeTable": 7 })).unwrap();
    assert_eq!(serde_json::to_string(&options).unwrap(), r#"{"routeTable":7}"#);
    let spec = WireGuardSpec::try_from(&options).unwrap();
    let shown = format!("{options:?} {spec:?}");
    assert!(!shown.contains("yAnz5TF"), "{shown}");
}

#[test]
fn unknown_keys_are_refused() {
    let json = serde_json::json!({ "existingInterface": "wg0", "failclosed": true });
    assert!(serde_json::from_value::<WireGuardOptions>(json).is_err());
}
