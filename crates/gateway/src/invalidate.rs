//! What a request that changes something makes outdated in the cache. Purges by operators are not here.

use crate::cache_rules::everybodys;
use crate::client;
use crate::exchange::Exchange;
use crate::head_fields::HeadFields;
use crate::route::Ask;
use headgate_cache::rules::{Target, further_targets, invalidates, write_key};
use headgate_net::head::ResponseHead;

/// The response to a request past the cache has come: forgets what it makes outdated (RFC 9111 section 4.4).
#[cold]
pub(crate) fn what_changed(x: &Exchange<'_>, head: &ResponseHead) {
    if !invalidates(x.head.method(), head.line.status) {
        return;
    }
    forget(x, x.head.path(), x.head.query());
    let encrypted = client::is_encrypted(x.peer, x.head);
    let target = Target {
        scheme: if encrypted { b"https" } else { b"http" },
        authority: x.head.host(),
        path: x.head.path(),
        query: x.head.query(),
    };
    further_targets(&target, &HeadFields(head), &mut |path, query| forget(x, path, query));
}

/// Takes away what a GET of this target would find.
fn forget(x: &Exchange<'_>, path: &[u8], query: Option<&[u8]>) {
    let ask =
        Ask { listener: x.listener as u32, host: x.head.host(), path, query, method: b"GET", fields: x.head };
    let snapshot = &x.view.snapshot;
    let Some(matched) = snapshot.table.find(&ask) else { return };
    let Some(rules) = &snapshot.routes[matched.route].cache else { return };
    let mut key = x.worker.buffers.out();
    key.extend_from_slice(&rules.space);
    key.push(if client::is_encrypted(x.peer, x.head) { b's' } else { b'p' });
    write_key(&mut key, x.head.host(), path, query, &rules.query);
    let cache = &x.worker.shared.cache;
    if rules.identity.is_some() {
        cache.store.purge_tag(&everybodys(&key), false);
    } else {
        cache.store.purge_key(&key, false);
    }
}
