//! The target `cache_fields` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_fuzz::cache_fields::run(data));
