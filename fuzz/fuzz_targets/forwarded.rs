//! The target `forwarded` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_fuzz::forwarded::run(data));
