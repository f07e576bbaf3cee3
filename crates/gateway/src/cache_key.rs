//! Under which key the response to a request is stored.

use crate::cache_rules::{CacheRules, Identity, Tag, everybodys};
use crate::client;
use crate::exchange::Exchange;
use headgate_cache::rules::write_key;
use headgate_net::buffer::Lent;
use headgate_net::head::{Known, RequestHead};

/// The key of a request; None when it names nobody where each client has responses of its own.
#[inline]
pub(crate) fn key(x: &Exchange<'_>, rules: &CacheRules) -> Option<(Lent<Vec<u8>>, Option<Tag>)> {
    let mut key = x.worker.buffers.out();
    write_shared_key(&mut key, x.head, client::is_encrypted(x.peer, x.head), rules);
    let mut tag = None;
    if let Some(identity) = &rules.identity {
        let who = match identity {
            Identity::Header(name) => x.head.value_of(name),
            Identity::Cookie(name) => x.head.values(Known::Cookie).find_map(|cookies| cookie(cookies, name)),
        };
        tag = Some(everybodys(&key));
        key.push(0);
        key.extend_from_slice(who?);
    }
    Some((key, tag))
}

/// Writes the part of a key that does not depend on who asks.
#[inline]
pub(crate) fn write_shared_key(
    key: &mut Vec<u8>,
    head: &RequestHead,
    is_encrypted: bool,
    rules: &CacheRules,
) {
    key.extend_from_slice(&rules.space);
    key.push(if is_encrypted { b's' } else { b'p' });
    write_key(key, head.host(), head.path(), head.query(), &rules.query);
}

/// Value of the cookie `name` (RFC 6265 section 5.4).
fn cookie<'c>(cookies: &'c [u8], name: &[u8]) -> Option<&'c [u8]> {
    cookies.split(|&byte| byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        pair.strip_prefix(name)?.strip_prefix(b"=")
    })
}
