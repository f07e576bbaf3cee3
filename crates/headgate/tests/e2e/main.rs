//! The real binary between real sockets: what a client and an origin see of it. Each test plays both sides
//! itself, so that every order of events is chosen and not hoped for.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![allow(clippy::print_stderr, reason = "says why a test is skipped and what the process complained of")]

mod adaptive;
mod balancing;
mod bodies;
mod cache;
mod cache_beside;
mod chaos;
mod client_cert;
mod clocks;
mod command;
mod departures;
mod differential;
mod disk_cache;
mod endpoints;
mod explain;
mod failures;
mod fields;
mod gameday;
mod generator;
mod greetings;
mod health;
mod hostile;
mod http2;
mod import;
mod interop;
mod journal;
mod keep_alive;
mod lab;
mod limits;
mod listeners;
mod load;
mod observed;
mod pool;
mod prefetch;
mod redis_cache;
mod redis_faults;
mod reload;
mod replay;
mod resilience;
mod rig;
mod routes;
mod smuggling;
mod stopping;
mod streaming;
mod support;
mod traces;
mod tunnels;
