//! See the property of this name in the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::walker_is_split_invariant(data));
