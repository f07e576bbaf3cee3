//! The response cache: what may be stored and used again ([`rules`]), and where it lies. It opens no sockets and
//! knows no routes.

pub mod rules;
