//! What a request that changes something makes outdated in the cache. Purges by operators are not here.

use crate::cache_rules::{CacheRules, everybodys};
use crate::client;
use crate::exchange::Exchange;
use crate::head_fields::HeadFields;
use crate::route::Ask;
use headgate_cache::rules::{
    Block, HeadEffect, Target, first, further_targets, head_effect, invalidates, matches, write_field,
    write_key,
};
use headgate_cache::store::Found;
use headgate_net::buffer::Lent;
use headgate_net::head::{Method, ResponseHead};

/// The response to a request past the cache has come: forgets what it makes outdated (RFC 9111 section 4.4). How many
/// purges that were.
#[cold]
pub(crate) fn what_changed(x: &Exchange<'_>, head: &ResponseHead) -> u64 {
    if x.head.line.method == Method::Head {
        compare(x, head);
        return 0;
    }
    if !invalidates(x.head.method(), head.line.status) {
        return 0;
    }
    let mut purges = u64::from(forget(x, x.head.path(), x.head.query()));
    further_targets(&target_of(x), &HeadFields(head), &mut |path, query| {
        purges += u64::from(forget(x, path, query));
    });
    purges
}

/// Where the request goes, as its client says.
pub(crate) fn target_of<'x>(x: &Exchange<'x>) -> Target<'x> {
    let encrypted = client::is_encrypted(x.peer, x.head);
    Target {
        scheme: if encrypted { b"https" } else { b"http" },
        authority: x.head.host(),
        path: x.head.path(),
        query: x.head.query(),
    }
}

/// The answer to a HEAD shows whether what is stored is still of the same content (RFC 9111 section 4.3.5).
fn compare(x: &Exchange<'_>, head: &ResponseHead) {
    let Some((rules, key)) = key_of(x, x.head.path(), x.head.query()) else { return };
    if rules.identity.is_some() {
        return;
    }
    let request = HeadFields(x.head);
    let found = x.worker.shared.cache.store.find(&key, |object| {
        let stored = Block(&object.head);
        let language = first(&stored, b"content-language");
        object.part.is_none() && matches(&object.selecting, &request, language)
    });
    if let Found::Object(object) = found {
        // Framing is not among the stored lines.
        let mut lines = object.head.to_vec();
        write_field(&mut lines, b"content-length", object.content.len().to_string().as_bytes());
        let effect = head_effect(&Block(&lines), object.status, &HeadFields(head), head.line.status);
        if effect == HeadEffect::Outdated {
            object.outdate();
            x.worker.shared.cache.lower.forget(&key);
        }
    }
}

/// Takes away what a GET of this target would find; whether that was a purge.
fn forget(x: &Exchange<'_>, path: &[u8], query: Option<&[u8]>) -> bool {
    let Some((rules, key)) = key_of(x, path, query) else { return false };
    let cache = &x.worker.shared.cache;
    if rules.identity.is_some() {
        cache.purge_tag(&everybodys(&key), false);
    } else {
        cache.purge_key(&key, false);
    }
    true
}

/// Where the route that answers a GET of this target keeps it, up to who asks.
fn key_of<'x>(
    x: &Exchange<'x>,
    path: &[u8],
    query: Option<&[u8]>,
) -> Option<(&'x CacheRules, Lent<Vec<u8>>)> {
    let ask =
        Ask { listener: x.listener as u32, host: x.head.host(), path, query, method: b"GET", fields: x.head };
    let snapshot = &x.view.snapshot;
    let matched = snapshot.table.find(&ask)?;
    let rules = snapshot.routes[matched.route].cache.as_ref()?;
    let mut key = x.worker.buffers.out();
    key.extend_from_slice(&rules.space);
    key.push(if client::is_encrypted(x.peer, x.head) { b's' } else { b'p' });
    write_key(&mut key, x.head.host(), path, query, &rules.query);
    Some((rules, key))
}
