//! The only crate that opens data sockets: streams, TLS, HTTP/1, HTTP/2, pools. It moves messages; it
//! never decides where they go.

pub mod base64;
pub mod body;
pub mod buffer;
pub mod connect;
mod data_frames;
pub mod deadline;
pub mod downstream;
pub mod fields;
pub mod forwarded;
pub mod frame_meter;
mod frames;
pub mod gathered;
pub mod h1;
pub mod h2_head;
pub mod head;
pub mod kept;
pub mod listener;
pub mod pool;
pub mod proxy_protocol;
pub mod rewrite;
pub mod socket;
pub mod spare;
pub mod stream;
pub mod tls;
pub mod toxic;
pub mod upstream;
