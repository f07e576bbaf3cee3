//! What the tests are made of: the real binary, wires with raw bytes on both sides of it, and origins.

pub(crate) mod frames;
mod gateway;
mod message;
mod origin;
mod redis;
mod service;
mod tls;
mod wire;

pub(crate) use gateway::{Headgate, LISTEN, Port, Scratch, headgate, one_service, output, scratch};
pub(crate) use message::{Head, Response};
pub(crate) use origin::Origin;
pub(crate) use redis::Redis;
pub(crate) use service::{Service, response};
pub(crate) use tls::{Authority, Pair};
pub(crate) use wire::{End, Wire};

use headgate_model::dice::Dice;
use std::time::Duration;

/// How long anything may take before the test fails. Generous: a test never waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// `len` bytes that differ for each seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut bytes: Vec<u8> = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&dice.bits().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Compares long contents without printing them.
#[track_caller]
pub(crate) fn assert_same(got: &[u8], want: &[u8], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    let differs = got.iter().zip(want).position(|(got, want)| got != want);
    assert_eq!(differs, None, "{what}: first byte that differs");
}
