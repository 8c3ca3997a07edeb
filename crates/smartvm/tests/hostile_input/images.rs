use smartvm_images::base_image::{HostedManifest, Listing};
use smartvm_testkit::memory::{Bound, assert_reading_is_bounded};

fn repeated(begin: &str, each: &str, end: &str, count: usize) -> Vec<u8> {
    [begin, &each.repeat(count), end].concat().into_bytes()
}

#[test]
fn a_listing_takes_memory_and_work_as_its_text_does() {
    let begin = "<ListBucketResult><IsTruncated>false</IsTruncated>";
    let end = "</ListBucketResult>";
    let bound = Bound { per_byte: 60, fixed: 1 << 20 };
    for (what, each) in [
        ("keys", "<Contents><Key>a</Key></Contents>"),
        (
            "keys and prefixes in turn",
            "<Contents><Key>a</Key></Contents><CommonPrefixes><Prefix>a</Prefix></CommonPrefixes>",
        ),
        ("what is not known", "<Other a=\"b\"/>"),
        ("what is not known, in turn", "<Contents><Key>a</Key></Contents><Other/>"),
        ("attributes", "<Contents a=\"b\" c=\"d\"><Key>a</Key></Contents>"),
        ("entities", "<Contents><Key>&amp;&amp;&amp;&amp;</Key></Contents>"),
    ] {
        let make = |count| repeated(begin, each, end, count);
        assert_reading_is_bounded(what, 2000, bound, make, Listing::parse);
    }
    let deep = |count| repeated("<ListBucketResult>", "<a>", "", count);
    assert_reading_is_bounded("depth", 2000, bound, deep, Listing::parse);
}

#[test]
fn a_manifest_takes_memory_and_work_as_its_text_does() {
    // A number in a list is two bytes, and a value of JSON has 32 and room to grow.
    let bound = Bound { per_byte: 100, fixed: 1 << 20 };
    for (what, begin, each, end) in [
        ("numbers", "{\"a\":[", "1,", "1]}"),
        ("objects", "{\"a\":[", "{\"a\":1},", "1]}"),
        ("keys", "{", "\"a\":1,", "\"b\":1}"),
        ("depth", "", "[", ""),
        ("text", "{\"name\":\"", "\\u0061", "\"}"),
    ] {
        let make = |count| repeated(begin, each, end, count);
        assert_reading_is_bounded(what, 2000, bound, make, HostedManifest::parse);
    }
}
