//! The HTTP/1 codec from outside: the corpus of smuggling cases, the comparison with another parser, and
//! what has to hold for any bytes at all. Nothing here opens a socket.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop where it finds the unexpected")]

mod bodies;
mod corpus;
mod differential;
mod generate;
mod rewriting;
mod transcript;
mod wire;
