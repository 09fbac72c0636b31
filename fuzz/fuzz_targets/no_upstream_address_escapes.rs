//! See the property of this name in the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::no_upstream_address_escapes(data));
