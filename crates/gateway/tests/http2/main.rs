//! HTTP/2 through a real worker over loopback sockets: clients and origins of either protocol around it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails is a test that fails")]

mod carrying;
mod ending;
mod hostile;
mod small_frames;
mod support;
mod unprocessed;
mod websocket;
