//! The rules of HTTP caching (RFC 9111 and its companions) as functions of messages and times. Nothing is stored
//! here.
