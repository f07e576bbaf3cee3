//! The policies in the path of real requests: each test runs real workers between real sockets.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod bulkhead;
mod cache;
mod cache_post;
mod cache_ranges;
mod failure;
mod gateway;
mod identity;
mod peers;
mod sticky;
mod target;
