//! HTTP/1.1 and 1.0 (RFC 9112) without I/O: bytes in, heads and body pieces out, and back. Strict by
//! design: what is ambiguous is refused, and framing is always written anew, never copied.

pub mod bytes;
pub mod chunked;
pub mod framing;
pub mod parse;
