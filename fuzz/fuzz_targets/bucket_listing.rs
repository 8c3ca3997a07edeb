//! Any bytes as a page of a bucket's listing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smartvm_images::base_image::Listing;

fuzz_target!(|bytes: &[u8]| {
    match Listing::parse(bytes) {
        // A next page is asked for with a token, or there would be no end.
        Ok(page) => assert!(page.next.is_none_or(|token| !token.is_empty())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
