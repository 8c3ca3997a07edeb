use smartvm::VmConfig;
use smartvm::snapshot::{GuestRegions, SnapshotManifest};
use smartvm_testkit::memory::{Bound, assert_reading_is_bounded};

#[test]
fn a_message_of_memory_regions_takes_memory_as_its_text_does() {
    let region = "{\"base_host_virt_addr\":4096,\"size\":4096,\"offset\":0},";
    for (what, begin, each) in
        [("regions", "[", region), ("depth", "", "["), ("keys", "[{", "\"a\":1,")]
    {
        let make = |count| [begin, &each.repeat(count)].concat().into_bytes();
        let read = |bytes: &[u8]| GuestRegions::parse(bytes, 1 << 30);
        assert_reading_is_bounded(what, 1000, Bound { per_byte: 8, fixed: 1 << 20 }, make, read);
    }
}

#[test]
fn the_manifest_of_a_snapshot_takes_memory_as_its_text_does() {
    for (what, begin, each) in [
        ("depth", "", "["),
        ("keys", "{\"schemaVersion\":1,", "\"a\":1,"),
        ("form", "{", "\"schemaVersion\":1,"),
    ] {
        let make = |count| [begin, &each.repeat(count)].concat().into_bytes();
        let bound = Bound { per_byte: 20, fixed: 1 << 20 };
        assert_reading_is_bounded(what, 2000, bound, make, SnapshotManifest::parse);
    }
}

#[test]
fn a_configuration_takes_memory_and_work_as_its_text_does() {
    let kernel = "{\"bootSource\":{\"kernelImagePath\":\"/k\"},";
    let drive = "{\"driveId\":\"a\",\"pathOnHost\":\"/d\"},";
    // What a misspelt key may have meant is looked for, but not for thousands of them.
    let bound = Bound { per_byte: 300, fixed: 4 << 20 };
    for (what, begin, each, end) in [
        ("unknown keys", kernel, "\"uUu\":1,", "\"b\":1}".to_owned()),
        (
            "drives",
            &*format!("{kernel}\"drives\":["),
            drive,
            format!("{}]}}", drive.trim_end_matches(',')),
        ),
        ("depth", "", "[", String::new()),
        ("one long key", &*format!("{kernel}\""), "k", "\":1}".to_owned()),
    ] {
        let make = |count| {
            if what == "unknown keys" {
                let each: String = (0..count).map(|n| format!("\"driveIds{n}\":1,")).collect();
                return [begin, &each, &*end].concat().into_bytes();
            }
            [begin, &each.repeat(count), &end].concat().into_bytes()
        };
        let read = |bytes: &[u8]| {
            let config = VmConfig::from_json(std::str::from_utf8(bytes).unwrap());
            config.map_err(|e| e.to_string()).and_then(|c| c.validate().map_err(|e| e.to_string()))
        };
        assert_reading_is_bounded(what, 1000, bound, make, read);
    }
}
