//! The target `proxy_protocol` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_fuzz::proxy_protocol::run(data));
